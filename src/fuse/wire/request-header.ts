import type { Ino } from '../../posix/ino.ts';
import { toIno } from '../../posix/ino.ts';
import { FrameReader } from './frame-reader.ts';
import { WireError } from './wire-error.ts';

/** Bytes of `struct fuse_in_header`. @see linux/fuse.h */
export const IN_HEADER_BYTES = 40;

/** What every request begins with. */
export interface RequestHeader {
  /** Length of the whole frame in bytes. */
  readonly length: number;
  readonly opcode: number;
  /** Names the request; the reply repeats it. */
  readonly unique: bigint;
  readonly ino: Ino;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** Bytes of extensions at the end of the frame (since 7.38, else 0). */
  readonly extensionBytes: number;
}

/**
 * Layout: len u32, opcode u32, unique u64, nodeid u64, uid u32, gid u32, pid u32, extlen u16 (in
 * units of 8 bytes), pad u16.
 *
 * @throws WireError when the frame is shorter than the header or its length differs from what it says
 */
export function decodeHeader(frame: Uint8Array): RequestHeader {
  const reader = new FrameReader(frame, 0);
  const header = {
    length: reader.u32(),
    opcode: reader.u32(),
    unique: reader.u64(),
    ino: toIno(reader.u64()),
    uid: reader.u32(),
    gid: reader.u32(),
    pid: reader.u32(),
    extensionBytes: reader.u16() * 8,
  };
  reader.skip(2);
  if (header.length !== frame.byteLength) {
    throw new WireError(`the frame says ${header.length} bytes and has ${frame.byteLength}`);
  }
  if (header.extensionBytes > frame.byteLength - IN_HEADER_BYTES) {
    throw new WireError(`${header.extensionBytes} bytes of extensions do not fit the frame`);
  }
  return header;
}

/** The request's name in a frame that may be malformed otherwise; undefined when too short for one. */
export function peekUnique(frame: Uint8Array): bigint | undefined {
  if (frame.byteLength < 16) return undefined;
  return new DataView(frame.buffer, frame.byteOffset, 16).getBigUint64(8, true);
}
