import type { BlockKey } from '../block/block-key.ts';
import { BlockWriter } from '../mesh/block-writer.ts';
import { createWriterWithUpkeep, type WriterWithUpkeep } from '../meta/create-writer.ts';
import { MetaError, type MetaErrorCode } from '../meta/engine.ts';
import type { BlockStorage } from '../store/block-upload.ts';
import { SliceRemover } from '../store/slice-remover.ts';
import type { VfsWriting } from '../vfs/vfs-parts.ts';
import { SliceRewriter } from '../vfs/write/slice-rewriter.ts';
import type { BlockPath } from './block-path.ts';
import type { DaemonContext } from './daemon-context.ts';
import type { SessionKeeper } from './session-keeper.ts';
import type { ShutdownStack } from './shutdown-stack.ts';
import type { OpenVolume } from './volume.ts';

/** Errors that do not pass. */
const UNFIT: ReadonlySet<MetaErrorCode> = new Set(['incompatible', 'no-volume']);

/** What a mount that can write is made of. */
export interface WritingParts {
  readonly volume: Pick<OpenVolume, 'meta' | 'setting' | 'upload'>;
  /** Told of each block that programs have written, once it is safe. */
  readonly onStored?: ((key: BlockKey) => void) | undefined;
  /** Takes what programs write; that of the volume when left out. */
  readonly storage?: BlockStorage | undefined;
  readonly path: Pick<BlockPath, 'loader' | 'tiers'>;
  /** Started. */
  readonly session: SessionKeeper;
  /** @see CreateWriterOptions.skipDirMtimeMs */
  readonly skipDirMtimeMs: number;
  /** The volume has become one that must not be written by this release. */
  readonly onUnfit: (error: Error) => void;
}

/** @throws MetaError `incompatible` when the volume must not be written by this release */
export async function openWriting(
  { path, storage, onStored, ...parts }: WritingParts,
  context: DaemonContext,
  shutdown: ShutdownStack,
): Promise<VfsWriting> {
  const { volume } = parts;
  const upload = storage ?? volume.upload;
  const removing = { ...parts, volume: { ...volume, upload } };
  const { writer, upkeep } = await openWriter(removing, context, shutdown);
  const blocks = new BlockWriter({ ...context, ...path.tiers, upload, onStored });
  shutdown.push('block writer', () => blocks.stop());
  // Others may be reading what a chunk consists of: new slices of it must not wait here, as in JuiceFS.
  const uploaded = new BlockWriter({ ...context, ...path.tiers, upload: volume.upload });
  shutdown.push('block writer of compactions', () => uploaded.stop());
  context.logger.warn({}, 'writing is experimental in this release');
  const { loader } = path;
  const rewriter = new SliceRewriter({
    read: async ({ key, inBlock }, use, signal) => {
      const part = await loader.read(key, inBlock, { whole: true, signal });
      try {
        use(part.bytes);
      } finally {
        part.release();
      }
    },
    ...{ blocks: uploaded, blockBytes: volume.setting.blockBytes },
    newSliceId: (signal) => writer.newSliceId(signal),
  });
  return { writer, blocks, compactor: upkeep.compactor(rewriter) };
}

/**
 * Makes what changes the metadata, with the work behind the volume: what was deleted goes from the
 * object store, and the session leaves nothing behind.
 *
 * @throws MetaError `incompatible`
 */
export async function openWriter(
  {
    volume,
    session,
    skipDirMtimeMs,
    onUnfit,
  }: Omit<WritingParts, 'path' | 'storage' | 'onStored' | 'volume'> & {
    readonly volume: Pick<OpenVolume, 'meta' | 'setting'> & { readonly upload: BlockStorage };
  },
  context: DaemonContext,
  shutdown: ShutdownStack,
): Promise<WriterWithUpkeep> {
  const { signal } = new AbortController();
  const { meta: engine, setting, upload } = volume;
  const objects = new SliceRemover(upload, setting.blockBytes);
  const options = { ...context, engine, objects, skipDirMtimeMs, sid: () => session.sid };
  const { writer, upkeep } = await createWriterWithUpkeep(options, signal);
  session.closeBy((sid, inTime) => upkeep.closeSession(sid, inTime));
  await upkeep.start();
  shutdown.push('upkeep', () => upkeep.stop());
  session.onBeat(async (inTime) => {
    try {
      await writer.refresh(inTime);
    } catch (error) {
      const isUnfit = error instanceof MetaError && UNFIT.has(error.code);
      if (isUnfit) onUnfit(error);
      throw error;
    }
    await upkeep.cleanSessions(inTime);
  });
  return { writer, upkeep };
}
