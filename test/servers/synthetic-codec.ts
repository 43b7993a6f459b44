/** JuiceFS's stored metadata values, written out here so that tests do not trust our own decoder. */

/** Type numbers of inodes. */
export const SYNTHETIC_TYPES = { file: 1, directory: 2 } as const;

/** What a synthetic inode's attribute says; owner and group are root. */
export interface SyntheticAttr {
  readonly type: keyof typeof SYNTHETIC_TYPES;
  readonly mode: number;
  readonly nlink: number;
  readonly length: number;
  readonly parent: number;
  /** Modification and change time. */
  readonly time: { readonly seconds: number; readonly nanoseconds: number };
}

/** Value of `i<inode>`: 71 bytes of big-endian fields and one unused zero byte. */
export function encodeSyntheticAttr(attr: SyntheticAttr): Buffer {
  const value = Buffer.alloc(72);
  value.writeUInt16BE((SYNTHETIC_TYPES[attr.type] << 12) | attr.mode, 1);
  for (const at of [11, 23, 35]) {
    value.writeBigInt64BE(BigInt(attr.time.seconds), at);
    value.writeUInt32BE(attr.time.nanoseconds, at + 8);
  }
  value.writeUInt32BE(attr.nlink, 47);
  value.writeBigUInt64BE(BigInt(attr.length), 51);
  value.writeBigUInt64BE(BigInt(attr.parent), 63);
  return value;
}

/** Value of a field of `d<inode>`. */
export function encodeSyntheticEdge(type: keyof typeof SYNTHETIC_TYPES, ino: number): Buffer {
  const value = Buffer.alloc(9);
  value.writeUInt8(SYNTHETIC_TYPES[type]);
  value.writeBigUInt64BE(BigInt(ino), 1);
  return value;
}

/** A whole slice at a place of a chunk. */
export interface SyntheticSlice {
  /** Offset in the chunk. */
  readonly pos: number;
  readonly id: number;
  readonly sizeBytes: number;
}

/** Element of `c<inode>_<chunk>`. */
export function encodeSyntheticSlice({ pos, id, sizeBytes }: SyntheticSlice): Buffer {
  const value = Buffer.alloc(24);
  value.writeUInt32BE(pos, 0);
  value.writeBigUInt64BE(BigInt(id), 4);
  value.writeUInt32BE(sizeBytes, 12);
  value.writeUInt32BE(0, 16);
  value.writeUInt32BE(sizeBytes, 20);
  return value;
}
