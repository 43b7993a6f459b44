import type { FuseDriver } from '../fuse/driver.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Vfs } from '../vfs/vfs.ts';
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

/** Bytes of cache files that the kernel may hold at once. */
export function passthroughBytesMax({ cache }: MountConfig): number {
  return cache.diskBytes * SHARE;
}

/** Lets the kernel read by itself what it can. The driver is started. */
export function attachPassthrough(
  config: MountConfig,
  parts: { vfs: Vfs; driver: FuseDriver; logger: Logger },
): void {
  const { vfs, driver, logger } = parts;
  if (wantsPassthrough(config)) vfs.attachBacking(driver.backing);
  if (config.fuse.passthrough === 'off') return;
  if (driver.backing !== undefined)
    logger.info({}, 'the kernel reads small cached files by itself');
  else if (config.fuse.passthrough === 'on') {
    const needs =
      'it takes Linux 6.9 with CONFIG_FUSE_PASSTHROUGH, root, the kernel driver, a cache directory, and --verify-cache-checksum once or none';
    logger.warn({}, `--passthrough: the kernel reads nothing by itself; ${needs}`);
  }
}
