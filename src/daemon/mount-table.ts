import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseMountInfo as parseAllMounts } from '../fuse/kernel/mount-table.ts';

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
