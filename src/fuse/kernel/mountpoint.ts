import { realpath, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock } from '../../runtime/clock.ts';
import { DeadlineError, withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import { MountError } from './mount-error.ts';
import { mountedAt } from './mount-table.ts';
import type { Unmounter } from './unmounter.ts';

/** A live file system answers stat within this. */
const STAT_TIMEOUT_MS = 5000;
/** More dead mounts on one another are not cleared away. */
const DEAD_MOUNTS_MAX = 16;

/**
 * Makes a mountpoint ready: mounts whose daemon has died are unmounted lazily.
 *
 * @returns its absolute path without symbolic links
 * @throws MountError when it is no directory or something alive is mounted there
 */
export async function prepareMountpoint(
  path: string,
  options: { unmounter: Unmounter; clock: Clock; logger: Logger },
): Promise<string> {
  const { unmounter, clock, logger } = options;
  for (let round = 0; round < DEAD_MOUNTS_MAX; round++) {
    const state = await examine(path, clock);
    const mountpoint = await resolveMountpoint(path);
    if (state === 'alive') {
      const entry = mountedAt(mountpoint);
      if (entry === undefined) return mountpoint;
      const message = `${mountpoint} is a mountpoint of ${entry.source} (${entry.type}) already`;
      throw new MountError('mountpoint-busy', message);
    }
    logger.warn({ mountpoint }, 'clearing away the mount of a daemon that has died');
    if (!(await unmounter.unmount(mountpoint, 'lazily'))) {
      throw new MountError('mountpoint-busy', `cannot unmount the dead mount at ${mountpoint}`);
    }
  }
  throw new MountError('mountpoint-busy', `too many dead mounts at ${path}`);
}

/** The path without symbolic links, also when what is mounted there is dead. */
async function resolveMountpoint(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return join(await realpath(dirname(path)), basename(path));
  }
}

async function examine(path: string, clock: Clock): Promise<'alive' | 'dead'> {
  try {
    const wait = { what: `looking at ${path}`, timeoutMs: STAT_TIMEOUT_MS };
    const found = await withDeadline(clock, wait, () => stat(path));
    if (!found.isDirectory()) throw new MountError('not-a-directory', `${path} is not a directory`);
    // For a second after its daemon died the kernel tells the attributes that it remembers; statfs
    // is always asked for.
    await withDeadline(clock, wait, () => statfs(path));
    return 'alive';
  } catch (error) {
    if (error instanceof MountError) throw error;
    if (error instanceof DeadlineError) {
      const message = `${path} does not answer: is it a mount whose daemon hangs? Unmount it first`;
      throw new MountError('mountpoint-hangs', message, { cause: error });
    }
    // Only a FUSE connection without a daemon says that it is not connected.
    if (error instanceof Error && 'code' in error && error.code === 'ENOTCONN') return 'dead';
    const message = `${path} cannot be used as a mountpoint: ${String(error)}`;
    throw new MountError('not-a-directory', message, { cause: error });
  }
}
