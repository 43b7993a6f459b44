import type { Attr, Timespec } from '../../posix/attr.ts';
import { FileType, modeOf } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import { inodeOf } from '../node-alias.ts';

/** Bytes of `struct fuse_attr`. @see linux/fuse.h */
export const ATTR_BYTES = 88;
/** `st_blksize` of JuiceFS mounts. */
const IO_BLOCK_BYTES = 65_536;
/** Unit of `st_blocks`. @see stat(2) */
const STAT_BLOCK_BYTES = 512n;
/** Largest `loff_t`; the kernel takes an inode with a greater size for broken. */
const SIZE_MAX = 2n ** 63n - 1n;
/** The kernel's clock arithmetic stays far from overflow below this many seconds. */
const TIMEOUT_SECONDS_MAX = 2 ** 31;

/**
 * Writes `struct fuse_attr`: ino, size, blocks u64; atime, mtime, ctime i64 seconds; their
 * nanoseconds u32; mode, nlink, uid, gid, rdev, blksize, flags u32.
 *
 * Sizes and blocks are what JuiceFS mounts show: blocks are those of the size (holes count),
 * other types than files, directories and symlinks have neither.
 */
export function writeAttr(view: DataView, at: number, ino: Ino, attr: Attr): void {
  const size = sizeOf(attr);
  view.setBigUint64(at, inodeOf(ino), true);
  view.setBigUint64(at + 8, size, true);
  view.setBigUint64(at + 16, (size + STAT_BLOCK_BYTES - 1n) / STAT_BLOCK_BYTES, true);
  writeTime(view, attr.atime, { seconds: at + 24, nanoseconds: at + 48 });
  writeTime(view, attr.mtime, { seconds: at + 32, nanoseconds: at + 52 });
  writeTime(view, attr.ctime, { seconds: at + 40, nanoseconds: at + 56 });
  view.setUint32(at + 60, modeOf(attr), true);
  view.setUint32(at + 64, attr.nlink, true);
  view.setUint32(at + 68, attr.uid, true);
  view.setUint32(at + 72, attr.gid, true);
  view.setUint32(at + 76, isDevice(attr) ? attr.rdev : 0, true);
  view.setUint32(at + 80, IO_BLOCK_BYTES, true);
  view.setUint32(at + 84, 0, true);
}

/** Writes a time-out as seconds u64 and nanoseconds u32. @param timeoutMs - negative and NaN mean 0 */
export function writeTimeout(
  view: DataView,
  timeoutMs: number,
  at: { seconds: number; nanoseconds: number },
): void {
  const valid = timeoutMs > 0 ? Math.min(timeoutMs, TIMEOUT_SECONDS_MAX * 1000) : 0;
  const seconds = Math.floor(valid / 1000);
  view.setUint32(at.seconds, seconds, true);
  view.setUint32(at.seconds + 4, 0, true);
  view.setUint32(at.nanoseconds, Math.floor((valid - seconds * 1000) * 1e6), true);
}

function sizeOf(attr: Attr): bigint {
  const sized =
    attr.type === FileType.file ||
    attr.type === FileType.directory ||
    attr.type === FileType.symlink;
  if (!sized) return 0n;
  return attr.length > SIZE_MAX ? SIZE_MAX : attr.length;
}

function isDevice(attr: Attr): boolean {
  return attr.type === FileType.blockDevice || attr.type === FileType.charDevice;
}

/** Seconds before 1970 are negative, in two's complement. */
function writeTime(
  view: DataView,
  time: Timespec,
  at: { seconds: number; nanoseconds: number },
): void {
  view.setUint32(at.seconds, time.seconds, true);
  view.setInt32(at.seconds + 4, Math.floor(time.seconds / 2 ** 32), true);
  view.setUint32(at.nanoseconds, time.nanoseconds, true);
}
