import { readFileSync } from 'node:fs';

const MOUNT_INFO = '/proc/self/mountinfo';

/** A line of the mount table. */
export interface MountEntry {
  /** Number of the device, `major:minor`. */
  readonly device: string;
  readonly mountpoint: string;
  /** File system type with subtype, e.g. `fuse.cachemesh`. */
  readonly type: string;
  readonly source: string;
}

/**
 * Parses /proc/self/mountinfo: `36 35 0:53 / /mnt rw,nosuid shared:1 - fuse.x name rw,…`. Paths have
 * blanks, tabs, newlines and backslashes in octal. @see proc_pid_mountinfo(5)
 */
export function parseMountInfo(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const [left, right] = line.split(' - ');
    const fields = left?.split(' ') ?? [];
    const [type, source] = right?.split(' ') ?? [];
    const [, , device, , mountpoint] = fields;
    if (device === undefined || mountpoint === undefined || type === undefined) return [];
    return [{ device, mountpoint: unescape(mountpoint), type, source: unescape(source ?? '') }];
  });
}

/**
 * @returns what is mounted at a path, the uppermost mount; undefined when nothing is. Reading the
 * table touches no file system, so it does not block.
 */
export function mountedAt(mountpoint: string): MountEntry | undefined {
  const entries = parseMountInfo(readFileSync(MOUNT_INFO, 'utf8'));
  return entries.findLast((entry) => entry.mountpoint === mountpoint);
}

function unescape(text: string): string {
  if (!text.includes('\\')) return text;
  const bytes = text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return bytes;
}
