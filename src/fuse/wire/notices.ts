import type { Ino } from '../../posix/ino.ts';
import { OUT_HEADER_BYTES } from './replies.ts';

/** Messages that nobody asked for carry their code in the error field and unique 0. @see linux/fuse.h */
const NOTIFY_INVAL_INODE = 2;
const NOTIFY_INVAL_ENTRY = 3;
const EXPIRE_ONLY = 1;

/** NOTIFY_INVAL_INODE: ino u64, off i64, len i64. A negative offset keeps the pages; length 0 is up to the end. */
export function encodeInvalidateInode(ino: Ino, offset: number, lengthBytes: number): Uint8Array {
  const { frame, view } = notice(NOTIFY_INVAL_INODE, 24);
  view.setBigUint64(16, ino, true);
  view.setBigInt64(24, BigInt(offset), true);
  view.setBigInt64(32, BigInt(lengthBytes), true);
  return frame;
}

/**
 * NOTIFY_INVAL_ENTRY: parent u64, namelen u32, flags u32, name, NUL. The name's time-out ends; before Linux
 * 6.2 the kernel does not know that flag and drops the name, and what is mounted below it.
 */
export function encodeInvalidateEntry(parent: Ino, name: Uint8Array): Uint8Array {
  const { frame, view } = notice(NOTIFY_INVAL_ENTRY, 16 + name.byteLength + 1);
  view.setBigUint64(16, parent, true);
  view.setUint32(24, name.byteLength, true);
  view.setUint32(28, EXPIRE_ONLY, true);
  frame.set(name, 32);
  return frame;
}

function notice(code: number, payloadBytes: number): { frame: Uint8Array; view: DataView } {
  const frame = new Uint8Array(OUT_HEADER_BYTES + payloadBytes);
  const view = new DataView(frame.buffer);
  view.setUint32(0, frame.byteLength, true);
  view.setInt32(4, code, true);
  return { frame, view };
}
