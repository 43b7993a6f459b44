import type { Timespec } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import { toIno } from '../../posix/ino.ts';
import type { AttrChanges } from '../mutations.ts';
import type { FrameReader } from './frame-reader.ts';
import { WireError } from './wire-error.ts';

/*
 * Bodies of requests that change something. @see linux/fuse.h
 */

/** Bits of `valid` in SETATTR. @see linux/fuse.h FATTR_* */
const SetattrBit = {
  mode: 1 << 0,
  uid: 1 << 1,
  gid: 1 << 2,
  size: 1 << 3,
  atime: 1 << 4,
  mtime: 1 << 5,
  fh: 1 << 6,
  atimeNow: 1 << 7,
  mtimeNow: 1 << 8,
} as const;

/** Nanoseconds beyond this are no time. */
const NANOSECONDS_MAX = 999_999_999;

/**
 * SETATTR: valid u32, pad u32; fh, size, lock_owner u64; atime, mtime, ctime i64; their nanoseconds
 * u32; mode, pad, uid, gid, pad u32. A ctime is not looked at: it is the server's to set.
 */
export function decodeSetattr(reader: FrameReader): AttrChanges {
  const valid = reader.u32();
  reader.skip(4);
  const fh = reader.u64();
  const size = reader.u64();
  reader.skip(8);
  const seconds = { atime: reader.i64(), mtime: reader.i64() };
  reader.skip(8);
  const atime = timeOf(seconds.atime, reader.u32());
  const mtime = timeOf(seconds.mtime, reader.u32());
  reader.skip(4);
  const mode = reader.u32();
  reader.skip(4);
  const uid = reader.u32();
  const gid = reader.u32();
  reader.skip(4);
  const has = (bit: number) => (valid & bit) !== 0;
  return {
    ...(has(SetattrBit.mode) && { mode: mode & 0o7777 }),
    ...(has(SetattrBit.uid) && { uid }),
    ...(has(SetattrBit.gid) && { gid }),
    ...(has(SetattrBit.size) && { size }),
    ...(has(SetattrBit.atime) && { atime: has(SetattrBit.atimeNow) ? 'now' : atime }),
    ...(has(SetattrBit.mtime) && { mtime: has(SetattrBit.mtimeNow) ? 'now' : mtime }),
    ...(has(SetattrBit.fh) && { fh }),
  };
}

/** SYMLINK: the name, then the target. */
export function decodeSymlink(reader: FrameReader): { name: Uint8Array; target: Uint8Array } {
  return { name: reader.name(), target: reader.text() };
}

/** MKNOD: mode, rdev, umask, pad u32, name. The mode has the file type's bits. */
export function decodeMknod(reader: FrameReader): {
  mode: number;
  rdev: number;
  umask: number;
  name: Uint8Array;
} {
  const body = { mode: reader.u32(), rdev: reader.u32(), umask: reader.u32() };
  reader.skip(4);
  return { ...body, name: reader.name() };
}

/** MKDIR: mode, umask u32, name. */
export function decodeMkdir(reader: FrameReader): {
  mode: number;
  umask: number;
  name: Uint8Array;
} {
  return { mode: reader.u32(), umask: reader.u32(), name: reader.name() };
}

/** CREATE: flags, mode, umask, open_flags u32, name. */
export function decodeCreate(reader: FrameReader): {
  flags: number;
  mode: number;
  umask: number;
  name: Uint8Array;
} {
  const body = { flags: reader.u32(), mode: reader.u32(), umask: reader.u32() };
  reader.skip(4);
  return { ...body, name: reader.name() };
}

/** LINK: the inode u64, the new name. */
export function decodeLink(reader: FrameReader): { ino: Ino; name: Uint8Array } {
  return { ino: toIno(reader.u64()), name: reader.name() };
}

/** What both kinds of RENAME ask for. */
export interface RenameBody {
  readonly newParent: Ino;
  /** RENAME_NOREPLACE 1, RENAME_EXCHANGE 2, RENAME_WHITEOUT 4. */
  readonly flags: number;
  readonly oldName: Uint8Array;
  readonly newName: Uint8Array;
}

/** RENAME: the new directory u64, old name, new name. */
export function decodeRename(reader: FrameReader): RenameBody {
  const newParent = toIno(reader.u64());
  return { newParent, flags: 0, oldName: reader.name(), newName: reader.name() };
}

/** RENAME2: the new directory u64, flags u32, pad u32, old name, new name. */
export function decodeRename2(reader: FrameReader): RenameBody {
  const newParent = toIno(reader.u64());
  const flags = reader.u32();
  reader.skip(4);
  return { newParent, flags, oldName: reader.name(), newName: reader.name() };
}

/** FSYNC and FSYNCDIR: fh u64, flags u32 (1: data only), pad u32. */
export function decodeFsync(reader: FrameReader): { fh: bigint; dataOnly: boolean } {
  const fh = reader.u64();
  const flags = reader.u32();
  reader.skip(4);
  return { fh, dataOnly: (flags & 1) !== 0 };
}

/** FLUSH: fh u64, 8 spare bytes, lock_owner u64. */
export function decodeFlush(reader: FrameReader): { fh: bigint; lockOwner: bigint } {
  const fh = reader.u64();
  reader.skip(8);
  return { fh, lockOwner: reader.u64() };
}

/** SETXATTR (without its extension, which is not asked for): size u32, flags u32, name, value. */
export function decodeSetxattr(reader: FrameReader): {
  flags: number;
  name: Uint8Array;
  value: Uint8Array;
} {
  const size = reader.u32();
  const flags = reader.u32();
  const name = decodeXattrName(reader);
  return { flags, name, value: reader.bytes(size) };
}

/** REMOVEXATTR: the name. */
export function decodeRemovexattr(reader: FrameReader): { name: Uint8Array } {
  return { name: decodeXattrName(reader) };
}

/** FALLOCATE: fh, offset, length u64, mode u32, pad u32. */
export function decodeFallocate(reader: FrameReader): {
  fh: bigint;
  offset: bigint;
  length: bigint;
  mode: number;
} {
  const fh = reader.u64();
  const offset = reader.u64();
  const length = reader.u64();
  const mode = reader.u32();
  reader.skip(4);
  return { fh, offset, length, mode };
}

/** COPY_FILE_RANGE: fh_in, off_in, nodeid_out, fh_out, off_out, len, flags u64. */
export function decodeCopyFileRange(reader: FrameReader): {
  fh: bigint;
  offset: bigint;
  toIno: Ino;
  toFh: bigint;
  toOffset: bigint;
  length: bigint;
} {
  const fh = reader.u64();
  const offset = reader.u64();
  const target = toIno(reader.u64());
  const toFh = reader.u64();
  const toOffset = reader.u64();
  const length = reader.u64();
  reader.skip(8);
  return { fh, offset, toIno: target, toFh, toOffset, length };
}

/** What GETLK, SETLK and SETLKW ask for. */
export interface LockBody {
  readonly fh: bigint;
  readonly owner: bigint;
  readonly start: bigint;
  /** Inclusive; 2^63 − 1 is the end of the file. */
  readonly end: bigint;
  /** F_RDLCK 0, F_WRLCK 1, F_UNLCK 2. */
  readonly type: number;
  readonly pid: number;
  /** flock(2), not fcntl(2). */
  readonly isFlock: boolean;
}

/** GETLK, SETLK, SETLKW: fh, owner, start, end u64; type, pid, flags (1: flock) u32; pad u32. */
export function decodeLock(reader: FrameReader): LockBody {
  const fh = reader.u64();
  const owner = reader.u64();
  const start = reader.u64();
  const end = reader.u64();
  const type = reader.u32();
  const pid = reader.u32();
  const flags = reader.u32();
  reader.skip(4);
  if (type > 2) throw new WireError(`${type} is no type of a lock`);
  return { fh, owner, start, end, type, pid, isFlock: (flags & 1) !== 0 };
}

function decodeXattrName(reader: FrameReader): Uint8Array {
  // Unlike file names these may contain slashes.
  const name = reader.text();
  if (name.byteLength === 0) throw new WireError('the name of an extended attribute is empty');
  return name;
}

function timeOf(seconds: bigint, nanoseconds: number): Timespec {
  return { seconds: Number(seconds), nanoseconds: Math.min(nanoseconds, NANOSECONDS_MAX) };
}
