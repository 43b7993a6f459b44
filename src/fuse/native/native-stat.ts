import { type Attr, type FileType, modeOf, type Timespec } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import type { StatfsReply } from '../operations.ts';
import type { NativeStat, NativeStatfs } from './fuse-native-package.ts';

const UINT32_MAX = 0xffff_ffff;
/** Preferred size of an I/O request; the original client's. */
const IO_BYTES = 65_536;
const SECTOR_BYTES = 512n;

/**
 * An attribute in the package's form. It has milliseconds where the volume has nanoseconds, none
 * before 1970 (shown as 1970), and 32 bits for the inode number.
 */
export function toNativeStat(ino: Ino, attr: Attr): NativeStat {
  return {
    mode: modeOf(attr),
    uid: attr.uid,
    gid: attr.gid,
    size: Number(attr.length),
    nlink: attr.nlink,
    ino: shownIno(ino),
    rdev: attr.rdev,
    blksize: IO_BYTES,
    blocks: Number((attr.length + SECTOR_BYTES - 1n) / SECTOR_BYTES),
    atime: milliseconds(attr.atime),
    mtime: milliseconds(attr.mtime),
    ctime: milliseconds(attr.ctime),
  };
}

/** What a listing needs: libfuse 2 passes on nothing but type and inode number. */
export function toNativeEntry(ino: Ino, type: FileType): NativeStat {
  return {
    ...{ mode: modeOf({ type, mode: 0 }), ino: shownIno(ino) },
    ...{ uid: 0, gid: 0, size: 0, nlink: 1, rdev: 0, blksize: IO_BYTES, blocks: 0 },
    ...{ atime: 0, mtime: 0, ctime: 0 },
  };
}

/**
 * An inode number in 32 bits, never 0 (readers of a directory skip entries with number 0). Numbers
 * that need more are folded, so two of them may look alike; nothing but what `ls -i` shows depends
 * on it, since the kernel's own references come from libfuse.
 */
export function shownIno(ino: Ino): number {
  const folded = Number((ino ^ (ino >> 32n)) & 0xffff_ffffn);
  return folded === 0 ? UINT32_MAX : folded;
}

/** File system numbers in 32 bits each: blocks are made larger until their count fits. */
export function toNativeStatfs(reply: StatfsReply): NativeStatfs {
  let shift = 0n;
  while (reply.blocks >> shift > BigInt(UINT32_MAX)) shift += 1n;
  const blockBytes = clamp(BigInt(reply.blockBytes) << shift);
  const blocksFree = clamp(reply.blocksFree >> shift);
  const filesFree = clamp(reply.filesFree);
  return {
    ...{ bsize: blockBytes, frsize: blockBytes },
    ...{ blocks: clamp(reply.blocks >> shift), bfree: blocksFree, bavail: blocksFree },
    ...{ files: clamp(reply.files), ffree: filesFree, favail: filesFree },
    namemax: reply.nameBytesMax,
  };
}

function clamp(value: bigint): number {
  return value > BigInt(UINT32_MAX) ? UINT32_MAX : Number(value);
}

function milliseconds({ seconds, nanoseconds }: Timespec): number {
  return Math.max(0, seconds * 1000 + Math.floor(nanoseconds / 1_000_000));
}

/** Words of the package's marshalled attribute. @see getStatArray in its index.js */
const STAT_WORDS = 18;

/** An attribute as the package hands it to its native part; zeros without one. */
export function toStatInts(stat: NativeStat | undefined): Uint32Array {
  const ints = new Uint32Array(STAT_WORDS);
  if (stat === undefined) return ints;
  const { mode, uid, gid, size, nlink, ino, rdev, blksize, blocks } = stat;
  const device = 0;
  const times = [stat.atime, stat.mtime, stat.ctime].flatMap(lowAndHigh);
  const sizeWords = lowAndHigh(size);
  ints.set([mode, uid, gid, ...sizeWords, device, nlink, ino, rdev, blksize]);
  ints.set([...lowAndHigh(blocks), ...times], 10);
  return ints;
}

function lowAndHigh(value: number): [number, number] {
  return [value % 2 ** 32, Math.floor(value / 2 ** 32)];
}
