import type { FileType } from '../posix/attr.ts';
import { type Ino, toIno } from '../posix/ino.ts';
import { isFileType } from './attr-codec.ts';

/** What a directory stores for a name. */
export interface Edge {
  readonly type: FileType;
  readonly ino: Ino;
}

const EDGE_BYTES = 9;

/**
 * Decodes a directory's value for one name: type u8, inode u64 big-endian.
 *
 * @returns undefined when it has another length or an unknown type
 */
export function decodeEdge(bytes: Uint8Array): Edge | undefined {
  if (bytes.byteLength !== EDGE_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = view.getUint8(0);
  if (!isFileType(type)) return undefined;
  return { type, ino: toIno(view.getBigUint64(1)) };
}

/** The inverse of {@link decodeEdge}. */
export function encodeEdge({ type, ino }: Edge): Uint8Array {
  const bytes = new Uint8Array(EDGE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, type);
  view.setBigUint64(1, ino);
  return bytes;
}
