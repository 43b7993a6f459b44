import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { parseMountInfo as parseAllMounts } from '../fuse/kernel/mount-table.ts';
import { UsageError } from './quantities.ts';

/** A cachemesh mount, as the kernel lists it. */
export interface MountEntry {
  readonly mountpoint: string;
  /** `cachemesh:<volume>`. */
  readonly source: string;
}

/** @returns the cachemesh mounts among the lines of a mountinfo file, by whichever driver */
export function parseMountInfo(text: string): MountEntry[] {
  return parseAllMounts(text)
    .filter(({ type, source }) => type === 'fuse.cachemesh' || source.startsWith('cachemesh:'))
    .map(({ mountpoint, source }) => ({ mountpoint, source }));
}

/** @returns the cachemesh mount that an absolute path lies in */
export async function findMount(target: string): Promise<MountEntry | undefined> {
  const mounts = parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
  return mounts
    .filter(({ mountpoint }) => path.relative(mountpoint, target).split(path.sep)[0] !== '..')
    .toSorted((a, b) => b.mountpoint.length - a.mountpoint.length)[0];
}

/**
 * The mount point of the cachemesh mount that a path lies in, as its daemon knows it.
 *
 * @throws UsageError when it lies in none
 */
export async function realMountpoint(target: string): Promise<string> {
  const place = await realpath(path.resolve(target)).catch(() => path.resolve(target));
  const mount = await findMount(place);
  if (mount === undefined) throw new UsageError(`${target}: not in a cachemesh mount`);
  return mount.mountpoint;
}
