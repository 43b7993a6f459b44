import { createCipheriv } from 'node:crypto';

const CIPHER_BLOCK = 16;

/**
 * The content of synthetic slices: noise that differs at every place of every slice, so that a
 * shifted, swapped or stale byte shows, and that can be made from any offset without what is before.
 *
 * @param sliceId - 1 … 2^53
 * @param offset - byte in the slice
 */
export function sliceBytes(sliceId: number, offset: number, length: number): Buffer {
  const skipped = offset % CIPHER_BLOCK;
  const key = Buffer.alloc(16);
  key.writeBigUInt64BE(BigInt(sliceId));
  const counter = Buffer.alloc(16);
  counter.writeBigUInt64BE(BigInt((offset - skipped) / CIPHER_BLOCK), 8);
  const noise = createCipheriv('aes-128-ctr', key, counter).update(Buffer.alloc(skipped + length));
  return noise.subarray(skipped);
}
