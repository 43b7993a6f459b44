import type { FuseDriver } from '../fuse/driver.ts';
import type { CachedFiles } from '../mesh/loader.ts';
import { LocalViews } from '../mesh/local-views.ts';
import type { Logger } from '../runtime/logger.ts';
import type { DiskTier, ViewTier } from '../store/tier.ts';
import type { Vfs } from '../vfs/vfs.ts';
import type { PassthroughSource } from '../vfs/vfs-parts.ts';
import type { MountConfig } from './mount-config.ts';

/** Share of the cache disks that the kernel may hold: eviction does not free what it holds. */
const SHARE = 0.25;

/**
 * Whether the kernel is asked to read cached files by itself. It can only where cache files are read
 * unchecked, because nobody checks what it reads. `auto` leaves mounts alone that can write: a handle by
 * which the kernel reads would not show what is written beside it.
 */
export function wantsPassthrough({ fuse, cache, readWrite }: MountConfig): boolean {
  const isWanted = fuse.passthrough === 'on' || (fuse.passthrough === 'auto' && !readWrite);
  const isUnchecked = cache.verify === 'once' || cache.verify === 'none';
  return isWanted && isUnchecked && cache.dirs.length > 0;
}

/** What the kernel may read by itself. */
export function passthroughSource(
  { cache }: MountConfig,
  { loader, disk }: { loader: CachedFiles; disk: DiskTier | undefined },
): PassthroughSource {
  const bytesMax = cache.diskBytes * SHARE;
  return { cached: loader, viewMaker: new LocalViews(disk), bytesMax };
}

/** Lets the kernel read by itself what it can. The driver is started. */
export function attachPassthrough(
  config: MountConfig,
  parts: { vfs: Vfs; driver: FuseDriver; views: ViewTier | undefined; logger: Logger },
): void {
  const { vfs, driver, views, logger } = parts;
  if (wantsPassthrough(config)) vfs.attachBacking(driver.backing);
  if (config.fuse.passthrough === 'off') return;
  if (driver.backing !== undefined) {
    logger.info({}, 'the kernel reads small cached files by itself');
    tellOfViews(views?.unfit, logger);
  } else if (config.fuse.passthrough === 'on') {
    const needs =
      'it takes Linux 6.9 with CONFIG_FUSE_PASSTHROUGH, root, the kernel driver, a cache directory, and --verify-cache-checksum once or none';
    logger.warn({}, `--passthrough: the kernel reads nothing by itself; ${needs}`);
  }
}

/** What is missed on disks without reflinks is a surprise to many: the log says it, once. */
function tellOfViews(unfit: string | undefined, logger: Logger): void {
  if (unfit === undefined) {
    logger.info({}, 'the kernel reads big cached files by itself once they have a view');
    return;
  }
  const how = 'give --cache-dir one directory on XFS (mkfs.xfs -m reflink=1) or btrfs';
  const message = `files of more than one block are read through the daemon: ${unfit}; ${how}`;
  logger.warn({}, `${message}, and the kernel reads them by itself, many times faster`);
}
