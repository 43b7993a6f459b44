import type { Ino } from '../../posix/ino.ts';
import { toIno } from '../../posix/ino.ts';
import type { FrameReader } from './frame-reader.ts';
import { WireError } from './wire-error.ts';

/** Bytes of `struct fuse_forget_one`. */
const FORGET_ONE_BYTES = 16;
/** In `write_flags` of WRITE. @see linux/fuse.h */
const WRITE_CACHE = 1;
/** In `release_flags` of RELEASE. @see linux/fuse.h */
const RELEASE_FLOCK_UNLOCK = 2;

/** Requests whose body is not looked at. */
export function decodeNothing(): undefined {
  return undefined;
}

/** LOOKUP: a name. */
export function decodeName(reader: FrameReader): { name: Uint8Array } {
  return { name: reader.name() };
}

/** FORGET: nlookup u64. */
export function decodeForget(reader: FrameReader): { count: bigint } {
  return { count: reader.u64() };
}

/** BATCH_FORGET: count u32, pad u32, then nodeid u64 and nlookup u64 each. */
export function decodeBatchForget(reader: FrameReader): { items: { ino: Ino; count: bigint }[] } {
  const count = reader.u32();
  reader.skip(4);
  if (count * FORGET_ONE_BYTES > reader.left) {
    throw new WireError(`${count} inodes to forget do not fit the frame`);
  }
  const items = Array.from({ length: count }, () => ({
    ino: toIno(reader.u64()),
    count: reader.u64(),
  }));
  return { items };
}

/** OPEN and OPENDIR: flags u32, open_flags u32. */
export function decodeOpen(reader: FrameReader): { flags: number } {
  const flags = reader.u32();
  reader.skip(4);
  return { flags };
}

/** READ, READDIR, READDIRPLUS: fh u64, offset u64, size u32, and 20 bytes that do not matter. */
export function decodeRead(reader: FrameReader): { fh: bigint; offset: bigint; size: number } {
  const body = { fh: reader.u64(), offset: reader.u64(), size: reader.u32() };
  reader.skip(20);
  return body;
}

/**
 * WRITE: fh u64, offset u64, size u32, write_flags u32, lock_owner u64, flags u32, pad u32, data.
 *
 * @returns `bytes`: a view of the frame; `isCache`: of a mapped file, not by write(2); `flags`: the
 *   descriptor's at this write, of open(2)
 */
export function decodeWrite(reader: FrameReader): {
  fh: bigint;
  offset: bigint;
  isCache: boolean;
  flags: number;
  bytes: Uint8Array;
} {
  const fh = reader.u64();
  const offset = reader.u64();
  const size = reader.u32();
  const writeFlags = reader.u32();
  reader.skip(8);
  const flags = reader.u32();
  reader.skip(4);
  const isCache = (writeFlags & WRITE_CACHE) !== 0;
  return { fh, offset, isCache, flags, bytes: reader.view(size) };
}

/** RELEASE and RELEASEDIR: fh u64, flags u32, release_flags u32, lock_owner u64. */
export function decodeRelease(reader: FrameReader): {
  fh: bigint;
  lockOwner: bigint;
  unlocksFlock: boolean;
} {
  const fh = reader.u64();
  reader.skip(4);
  const releaseFlags = reader.u32();
  const lockOwner = reader.u64();
  return { fh, lockOwner, unlocksFlock: (releaseFlags & RELEASE_FLOCK_UNLOCK) !== 0 };
}

/** GETXATTR: size u32, pad u32, name. */
export function decodeGetxattr(reader: FrameReader): { size: number; name: Uint8Array } {
  const size = reader.u32();
  reader.skip(4);
  // Unlike file names these may contain slashes.
  const name = reader.text();
  if (name.byteLength === 0) throw new WireError('the name of an extended attribute is empty');
  return { size, name };
}

/** LISTXATTR: size u32, pad u32. */
export function decodeListxattr(reader: FrameReader): { size: number } {
  const size = reader.u32();
  reader.skip(4);
  return { size };
}

/** LSEEK: fh u64, offset u64, whence u32, pad u32. */
export function decodeLseek(reader: FrameReader): { fh: bigint; offset: bigint; whence: number } {
  const body = { fh: reader.u64(), offset: reader.u64(), whence: reader.u32() };
  reader.skip(4);
  return body;
}

/** INTERRUPT: the request's unique u64. */
export function decodeInterrupt(reader: FrameReader): { unique: bigint } {
  return { unique: reader.u64() };
}

/** What the kernel offers. */
export interface InitBody {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  /** Both flag words. @see InitFlag */
  readonly flags: bigint;
}

/** INIT: major u32, minor u32, max_readahead u32, flags u32; flags2 u32 and 44 spare bytes since 7.36. */
export function decodeInit(reader: FrameReader): InitBody {
  const major = reader.u32();
  const minor = reader.u32();
  const maxReadahead = reader.u32();
  const low = reader.u32();
  const high = reader.left >= 4 ? reader.u32() : 0;
  return { major, minor, maxReadahead, flags: BigInt(low) | (BigInt(high) << 32n) };
}
