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
const ATTR_OUT_BYTES = 16 + ATTR_BYTES;
const STATFS_OUT_BYTES = 80;

/** FOPEN_* bits of an OPEN reply. @see linux/fuse.h */
export const OpenFlag = { directIo: 1, keepCache: 2, cacheDir: 8, noFlush: 32 } as const;

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

/** GETATTR: attr_valid u64, its nanoseconds u32, pad u32, attr. */
export function encodeAttr(ino: Ino, reply: AttrReply): Uint8Array {
  const payload = new Uint8Array(ATTR_OUT_BYTES);
  const view = new DataView(payload.buffer);
  writeTimeout(view, reply.attrTimeoutMs, { seconds: 0, nanoseconds: 8 });
  writeAttr(view, 16, ino, reply.attr);
  return payload;
}

/**
 * OPEN and OPENDIR: fh u64, open_flags u32, backing_id i32.
 *
 * @param noFlush - for files: nothing has to be flushed at close(2) on a handle that only reads
 */
export function encodeOpen(reply: OpenReply, noFlush: boolean): Uint8Array {
  const payload = new Uint8Array(16);
  const view = new DataView(payload.buffer);
  let flags = noFlush ? OpenFlag.noFlush : 0;
  if (reply.directIo) flags |= OpenFlag.directIo;
  if (reply.keepCache) flags |= OpenFlag.keepCache;
  if (reply.cacheDir) flags |= OpenFlag.cacheDir;
  view.setBigUint64(0, reply.fh, true);
  view.setUint32(8, flags, true);
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

/** LSEEK: offset u64. */
export function encodeLseek(offset: number): Uint8Array {
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setBigUint64(0, BigInt(offset), true);
  return payload;
}
