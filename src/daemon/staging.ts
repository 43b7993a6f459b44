import type { BlockLoader } from '../mesh/loader.ts';
import { systemFileCalls } from '../store/file-calls.ts';
import type { BlockStorage } from '../store/block-upload.ts';
import { DISK_IO_TIMEOUT_MS, DiskIo } from '../store/disk-io.ts';
import { BlockStage } from '../store/stage/block-stage.ts';
import { StageDisk } from '../store/stage/stage-disk.ts';
import { StageUploader } from '../store/stage/stage-uploader.ts';
import { StagedUpload } from '../store/stage/staged-upload.ts';
import type { DaemonContext } from './daemon-context.ts';
import type { MountConfig } from './mount-config.ts';
import type { ShutdownStack } from './shutdown-stack.ts';
import type { OpenVolume } from './volume.ts';

/** The daemon's answer to `cachemesh umount --flush`. */
export interface StagedLine {
  /** What waits to be uploaded, or is just being staged. */
  readonly blocks: number;
  /** Of those that wait. */
  readonly bytes: number;
  /** Blocks that cannot be uploaded: damaged, or vanished. */
  readonly aside: number;
}

/** What waits on this node's cache disks to be uploaded. */
export interface Staging {
  readonly stage: BlockStage;
  /** Stages new blocks with `--writeback`, else uploads them. */
  readonly storage: BlockStorage;
  /** Undefined on a mount that changes nothing, the object store included. */
  readonly uploader: StageUploader | undefined;
}

/**
 * Finds what earlier daemons have left in the cache directories. {@link startUploads} uploads it and what
 * is staged from now on. A mount that only reads shows it to its readers.
 *
 * @returns undefined without a cache directory
 */
export async function openStaging(
  volume: Pick<OpenVolume, 'setting' | 'upload'>,
  config: Pick<MountConfig, 'cache' | 'staging' | 'origin' | 'readWrite'>,
  context: DaemonContext,
): Promise<Staging | undefined> {
  const { staging, origin } = config;
  if (staging.dirs.length === 0) return undefined;
  const stage = new BlockStage({
    ...context,
    disks: stageDisks(volume, config, context),
    belowBytes: staging.writeback ? staging.belowBytes : 0,
    writesMax: staging.writesMax,
    timeoutMs: origin.putTimeoutMs,
  });
  await stage.start();
  const storage = new StagedUpload(stage, volume.upload);
  if (!config.readWrite) {
    const { blocks, bytes } = stage.usage();
    const message = 'blocks wait in the cache directory to be uploaded, which takes --read-write';
    if (blocks > 0) context.logger.warn({ blocks, bytes }, message);
    return { stage, storage, uploader: undefined };
  }
  const uploader = new StageUploader({
    ...context,
    ...{ stage, storage: volume.upload, uploadsMax: origin.maxUploads },
    ...{ delayMs: staging.delayMs, hours: staging.hours },
  });
  return { stage, storage, uploader };
}

/** Begins to upload what is staged. What a disk does not give any more comes from a cache that has it. */
export function startUploads(
  { uploader }: Pick<Staging, 'uploader'>,
  loader: Pick<BlockLoader, 'read'>,
  shutdown: ShutdownStack,
): void {
  if (uploader === undefined) return;
  shutdown.push('staged blocks', () => uploader.stop());
  uploader.start(async (key, into, signal) => {
    const range = { offset: 0, length: key.sizeBytes };
    const part = await loader.read(key, range, { whole: true, signal });
    into.set(part.bytes);
    part.release();
  });
}

function stageDisks(
  { setting }: Pick<OpenVolume, 'setting'>,
  { cache, staging }: Pick<MountConfig, 'cache' | 'staging'>,
  context: DaemonContext,
): StageDisk[] {
  const { freeSpaceRatio, fileMode } = cache;
  const files = context.files ?? systemFileCalls;
  return staging.dirs.map((directory) => {
    const io = new DiskIo(files, context.clock, DISK_IO_TIMEOUT_MS);
    return new StageDisk({ ...context, directory, volume: setting, freeSpaceRatio, fileMode, io });
  });
}
