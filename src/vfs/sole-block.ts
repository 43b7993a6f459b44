import type { BlockKey } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import { type Piece, pieceIndexAt } from '../block/read-plan.ts';

/** A range that stands in one block as it is. */
export interface SoleBlock {
  readonly key: BlockKey;
  /** Where in the block the range begins. */
  readonly offset: number;
}

/**
 * The one block that holds all bytes of a range. Takes O(log n), however many pieces lie in the range.
 *
 * @param pieces - of `resolveSlices`
 * @param range - inside the chunk, not empty
 * @returns undefined when the range is spread over blocks, has a hole, or its piece is damaged
 */
export function soleBlock(
  pieces: readonly Piece[],
  range: ByteRange,
  blockBytes: number,
): SoleBlock | undefined {
  const piece = pieces[pieceIndexAt(pieces, range.offset)];
  if (piece === undefined || piece.sliceId === 0n) return undefined;
  const { pos, len, off, size, sliceId } = piece;
  if (range.offset + range.length > pos + len || off + len > size) return undefined;
  const inSlice = off + range.offset - pos;
  const index = Math.floor(inSlice / blockBytes);
  const offset = inSlice - index * blockBytes;
  const sizeBytes = Math.min(blockBytes, size - index * blockBytes);
  if (offset + range.length > sizeBytes) return undefined;
  return { key: { sliceId, index, sizeBytes }, offset };
}
