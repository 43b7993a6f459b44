import { systemFileCalls } from '../store/file-calls.ts';
import type { BlockStorage } from '../store/block-upload.ts';
import { DiskIo } from '../store/disk-io.ts';
import { BlockStage } from '../store/stage/block-stage.ts';
import { StageDisk } from '../store/stage/stage-disk.ts';
import { StageUploader } from '../store/stage/stage-uploader.ts';
import { StagedUpload } from '../store/stage/staged-upload.ts';
import type { DaemonContext } from './daemon-context.ts';
import type { MountConfig } from './mount-config.ts';
import type { ShutdownStack } from './shutdown-stack.ts';
import type { OpenVolume } from './volume.ts';

/** A disk that does not answer one call for this long has failed; as for the cache. */
const DISK_IO_TIMEOUT_MS = 30_000;

/** The daemon's answer to `cachemesh umount --flush`: what waits to be uploaded. */
export interface StagedLine {
  readonly blocks: number;
  readonly bytes: number;
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
 * Finds what earlier daemons have left in the cache directories, and uploads it and what is staged from
 * now on. A mount that only reads shows it to its readers.
 *
 * @returns undefined without a cache disk
 */
export async function openStaging(
  volume: Pick<OpenVolume, 'setting' | 'upload'>,
  config: Pick<MountConfig, 'cache' | 'staging' | 'origin' | 'readWrite'>,
  context: DaemonContext,
  shutdown: ShutdownStack,
): Promise<Staging | undefined> {
  const { staging, origin } = config;
  if (config.cache.dirs.length === 0) return undefined;
  const stage = new BlockStage({
    ...context,
    disks: stageDisks(volume, config.cache, context),
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
  shutdown.push('staged blocks', () => uploader.stop());
  uploader.start();
  return { stage, storage, uploader };
}

function stageDisks(
  { setting }: Pick<OpenVolume, 'setting'>,
  cache: MountConfig['cache'],
  context: DaemonContext,
): StageDisk[] {
  const { freeSpaceRatio, fileMode } = cache;
  const files = context.files ?? systemFileCalls;
  return cache.dirs.map((directory) => {
    const io = new DiskIo(files, context.clock, DISK_IO_TIMEOUT_MS);
    return new StageDisk({ ...context, directory, volume: setting, freeSpaceRatio, fileMode, io });
  });
}
