import { readFile } from 'node:fs/promises';
import path from 'node:path';

/** A cachemesh mount, as the kernel lists it. */
export interface MountEntry {
  readonly mountpoint: string;
  /** `cachemesh:<volume>`. */
  readonly source: string;
}

/** @returns the cachemesh mounts among the lines of a mountinfo file. @see proc_pid_mountinfo(5) */
export function parseMountInfo(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ');
    const mountpoint = before?.split(' ')[4];
    const [type, source] = after?.split(' ') ?? [];
    if (mountpoint === undefined || source === undefined) return [];
    const ours = type === 'fuse.cachemesh' || source.startsWith('cachemesh:');
    return ours ? [{ mountpoint: unescapeOctal(mountpoint), source: unescapeOctal(source) }] : [];
  });
}

/** @returns the cachemesh mount that an absolute path lies in */
export async function findMount(target: string): Promise<MountEntry | undefined> {
  const mounts = parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
  return mounts
    .filter(({ mountpoint }) => path.relative(mountpoint, target).split(path.sep)[0] !== '..')
    .toSorted((a, b) => b.mountpoint.length - a.mountpoint.length)[0];
}

function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
