import { BlockWriter } from '../mesh/block-writer.ts';
import { createWriterWithUpkeep } from '../meta/create-writer.ts';
import { MetaError, type MetaErrorCode } from '../meta/engine.ts';
import type { MetaWriter } from '../meta/writer.ts';
import { SliceRemover } from '../store/slice-remover.ts';
import type { VfsWriting } from '../vfs/vfs-parts.ts';
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
  readonly path: Pick<BlockPath, 'tiers'>;
  /** Started. */
  readonly session: SessionKeeper;
  /** The volume has become one that must not be written by this release. */
  readonly onUnfit: (error: Error) => void;
}

/** @throws MetaError `incompatible` when the volume must not be written by this release */
export async function openWriting(
  { volume, path, session, onUnfit }: WritingParts,
  context: DaemonContext,
  shutdown: ShutdownStack,
): Promise<VfsWriting> {
  const writer = await openWriter({ volume, session, onUnfit }, context, shutdown);
  const blocks = new BlockWriter({ ...context, ...path.tiers, upload: volume.upload });
  shutdown.push('block writer', () => blocks.stop());
  context.logger.warn({}, 'writing is experimental in this release');
  return { writer, blocks };
}

/**
 * Makes what changes the metadata, with the work behind the volume: what was deleted goes from the
 * object store, and the session leaves nothing behind.
 *
 * @throws MetaError `incompatible`
 */
export async function openWriter(
  { volume, session, onUnfit }: Omit<WritingParts, 'path'>,
  context: DaemonContext,
  shutdown: ShutdownStack,
): Promise<MetaWriter> {
  const { signal } = new AbortController();
  const { meta: engine, setting, upload } = volume;
  const objects = new SliceRemover(upload, setting.blockBytes);
  const options = { ...context, engine, objects, sid: () => session.sid };
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
  return writer;
}
