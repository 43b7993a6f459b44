import { SLICE_RECORD_BYTES } from './geometry.ts';

/**
 * One entry of a chunk's list: which part of a slice covers which part of the chunk.
 * Slice id 0 is a hole; later records win over earlier ones.
 */
export interface SliceRecord {
  /** Offset in the chunk. */
  readonly pos: number;
  readonly sliceId: bigint;
  /** Length of the whole slice. */
  readonly size: number;
  /** Offset of the used part in the slice. */
  readonly off: number;
  /** Length of the used part. */
  readonly len: number;
}

/**
 * Decodes concatenated records: pos u32, id u64, size u32, off u32, len u32, big-endian.
 *
 * @returns undefined when the length is not a multiple of 24 bytes
 */
export function decodeSliceRecords(bytes: Uint8Array): SliceRecord[] | undefined {
  if (bytes.byteLength % SLICE_RECORD_BYTES !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: SliceRecord[] = [];
  for (let at = 0; at < bytes.byteLength; at += SLICE_RECORD_BYTES) {
    records.push({
      pos: view.getUint32(at),
      sliceId: view.getBigUint64(at + 4),
      size: view.getUint32(at + 12),
      off: view.getUint32(at + 16),
      len: view.getUint32(at + 20),
    });
  }
  return records;
}

/** The inverse of {@link decodeSliceRecords}. */
export function encodeSliceRecords(records: readonly SliceRecord[]): Uint8Array {
  const bytes = new Uint8Array(records.length * SLICE_RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  records.forEach((record, index) => {
    const at = index * SLICE_RECORD_BYTES;
    view.setUint32(at, record.pos);
    view.setBigUint64(at + 4, record.sliceId);
    view.setUint32(at + 12, record.size);
    view.setUint32(at + 16, record.off);
    view.setUint32(at + 20, record.len);
  });
  return bytes;
}
