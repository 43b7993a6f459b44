import type {
  AttrReply,
  EntryReply,
  NegativeReply,
  OpenReply,
  StatfsReply,
} from '../operations.ts';
import { ATTR_BYTES, writeAttr, writeTimeout } from './attr.ts';
import type { Ino } from '../../posix/ino.ts';

/** Bytes of `struct fuse_out_header`. @see linux/fuse.h */
export const OUT_HEADER_BYTES = 16;
/** Bytes of `struct fuse_entry_out`. */
export const ENTRY_BYTES = 40 + ATTR_BYTES;
/** Bytes of `struct fuse_attr_out`. */
export const ATTR_OUT_BYTES = 16 + ATTR_BYTES;
/** Bytes of `struct fuse_open_out`. */
export const OPEN_OUT_BYTES = 16;
const STATFS_OUT_BYTES = 80;

/** FOPEN_* bits of an OPEN reply. @see linux/fuse.h */
export const OpenFlag = {
  directIo: 1,
  keepCache: 2,
  cacheDir: 8,
  noFlush: 32,
  passthrough: 128,
} as const;

/** Inode numbers are never used again, so all are of one generation (the one that JuiceFS mounts show). */
const GENERATION = 1n;

/**
 * The header in front of every reply: len u32, error i32 (0 or a negative errno), unique u64.
 *
 * @param payloadBytes - what follows the header
 * @param errno - positive error number, 0 for success
 */
export function encodeOutHeader(unique: bigint, errno: number, payloadBytes: number): Uint8Array {
  const header = new Uint8Array(OUT_HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, OUT_HEADER_BYTES + payloadBytes, true);
  view.setInt32(4, -errno, true);
  view.setBigUint64(8, unique, true);
  return header;
}

/**
 * Writes `struct fuse_entry_out`: nodeid, generation, entry_valid, attr_valid u64, their
 * nanoseconds u32, attr. The bytes must be zero before when the name is absent (node id 0).
 */
export function writeEntry(view: DataView, at: number, entry: EntryReply | NegativeReply): void {
  writeTimeout(view, entry.entryTimeoutMs, { seconds: at + 16, nanoseconds: at + 32 });
  if (entry.ino === undefined) return;
  view.setBigUint64(at, entry.ino, true);
  view.setBigUint64(at + 8, GENERATION, true);
  writeTimeout(view, entry.attrTimeoutMs, { seconds: at + 24, nanoseconds: at + 36 });
  writeAttr(view, at + 40, entry.ino, entry.attr);
}

/** LOOKUP. */
export function encodeEntry(entry: EntryReply | NegativeReply): Uint8Array {
  const payload = new Uint8Array(ENTRY_BYTES);
  writeEntry(new DataView(payload.buffer), 0, entry);
  return payload;
}

/** Writes `struct fuse_attr_out`: attr_valid u64, its nanoseconds u32, pad u32, attr. */
export function writeAttrOut(view: DataView, at: number, ino: Ino, reply: AttrReply): void {
  writeTimeout(view, reply.attrTimeoutMs, { seconds: at, nanoseconds: at + 8 });
  writeAttr(view, at + 16, ino, reply.attr);
}

/** GETATTR. */
export function encodeAttr(ino: Ino, reply: AttrReply): Uint8Array {
  const payload = new Uint8Array(ATTR_OUT_BYTES);
  writeAttrOut(new DataView(payload.buffer), 0, ino, reply);
  return payload;
}

/**
 * Writes `struct fuse_open_out`: fh u64, open_flags u32, backing_id i32 (which stays as it was when
 * there is none).
 *
 * @param noFlush - for files: nothing has to be flushed at close(2) on a handle that only reads
 */
export function writeOpen(view: DataView, at: number, reply: OpenReply, noFlush: boolean): void {
  let flags = noFlush ? OpenFlag.noFlush : 0;
  if (reply.directIo) flags |= OpenFlag.directIo;
  if (reply.keepCache) flags |= OpenFlag.keepCache;
  if (reply.cacheDir) flags |= OpenFlag.cacheDir;
  if (reply.backingId !== undefined) {
    flags |= OpenFlag.passthrough;
    view.setInt32(at + 12, reply.backingId, true);
  }
  view.setBigUint64(at, reply.fh, true);
  view.setUint32(at + 8, flags, true);
}

/** OPEN and OPENDIR. @see writeOpen */
export function encodeOpen(reply: OpenReply, noFlush: boolean): Uint8Array {
  const payload = new Uint8Array(OPEN_OUT_BYTES);
  writeOpen(new DataView(payload.buffer), 0, reply, noFlush);
  return payload;
}

/** CREATE: `struct fuse_entry_out`, then `struct fuse_open_out`. */
export function encodeCreated(entry: EntryReply, opened: OpenReply): Uint8Array {
  const payload = new Uint8Array(ENTRY_BYTES + OPEN_OUT_BYTES);
  const view = new DataView(payload.buffer);
  writeEntry(view, 0, entry);
  writeOpen(view, ENTRY_BYTES, opened, false);
  return payload;
}

/** GETLK: start, end u64; type, pid u32. */
export function encodeLock(lock: {
  start: bigint;
  end: bigint;
  type: number;
  pid: number;
}): Uint8Array {
  const payload = new Uint8Array(24);
  const view = new DataView(payload.buffer);
  view.setBigUint64(0, lock.start, true);
  view.setBigUint64(8, lock.end, true);
  view.setUint32(16, lock.type, true);
  view.setUint32(20, lock.pid, true);
  return payload;
}

/** COPY_FILE_RANGE_64: bytes_copied u64. */
export function encodeCopied(bytes: number): Uint8Array {
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setBigUint64(0, BigInt(bytes), true);
  return payload;
}

/** STATFS: blocks, bfree, bavail, files, ffree u64; bsize, namelen, frsize, pad u32; 24 spare bytes. */
export function encodeStatfs(reply: StatfsReply): Uint8Array {
  const payload = new Uint8Array(STATFS_OUT_BYTES);
  const view = new DataView(payload.buffer);
  view.setBigUint64(0, reply.blocks, true);
  view.setBigUint64(8, reply.blocksFree, true);
  view.setBigUint64(16, reply.blocksFree, true);
  view.setBigUint64(24, reply.files, true);
  view.setBigUint64(32, reply.filesFree, true);
  view.setUint32(40, reply.blockBytes, true);
  view.setUint32(44, reply.nameBytesMax, true);
  view.setUint32(48, reply.blockBytes, true);
  return payload;
}

/** GETXATTR and LISTXATTR that asked for the size only: size u32, pad u32. */
export function encodeXattrSize(sizeBytes: number): Uint8Array {
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setUint32(0, sizeBytes, true);
  return payload;
}

/** LISTXATTR: names, each followed by a NUL. */
export function encodeXattrNames(names: readonly Uint8Array[]): Uint8Array {
  const payload = new Uint8Array(names.reduce((total, name) => total + name.byteLength + 1, 0));
  let at = 0;
  for (const name of names) {
    payload.set(name, at);
    at += name.byteLength + 1;
  }
  return payload;
}

/** WRITE: size u32, pad u32. */
export function encodeWrite(sizeBytes: number): Uint8Array {
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setUint32(0, sizeBytes, true);
  return payload;
}

/** LSEEK: offset u64. */
export function encodeLseek(offset: number): Uint8Array {
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setBigUint64(0, BigInt(offset), true);
  return payload;
}
