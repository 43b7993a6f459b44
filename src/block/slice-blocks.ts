import type { BlockKey } from './block-key.ts';

/**
 * The blocks of a whole slice, in their order.
 *
 * @param sizeBytes - of the slice
 * @param blockBytes - of a full block
 */
export function sliceBlocks(sliceId: bigint, sizeBytes: number, blockBytes: number): BlockKey[] {
  return Array.from({ length: Math.ceil(sizeBytes / blockBytes) }, (_, index) => ({
    ...{ sliceId, index },
    sizeBytes: Math.min(blockBytes, sizeBytes - index * blockBytes),
  }));
}
