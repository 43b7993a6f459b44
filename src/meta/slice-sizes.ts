import type { SliceSize } from './write/meta-tx.ts';

const ITEM_BYTES = 12;

/**
 * Decodes slices that were replaced: id u64, size u32, big-endian.
 *
 * @returns undefined when the length is not a multiple of 12 bytes
 */
export function decodeSliceSizes(bytes: Uint8Array): SliceSize[] | undefined {
  if (bytes.byteLength % ITEM_BYTES !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / ITEM_BYTES }, (_, index) => ({
    id: view.getBigUint64(index * ITEM_BYTES),
    size: view.getUint32(index * ITEM_BYTES + 8),
  }));
}

/** The inverse of {@link decodeSliceSizes}. */
export function encodeSliceSizes(slices: readonly SliceSize[]): Uint8Array {
  const bytes = new Uint8Array(slices.length * ITEM_BYTES);
  const view = new DataView(bytes.buffer);
  slices.forEach(({ id, size }, index) => {
    view.setBigUint64(index * ITEM_BYTES, id);
    view.setUint32(index * ITEM_BYTES + 8, size);
  });
  return bytes;
}
