import { type BlockKey, blockIdOf } from '../../block/block-key.ts';
import { CHUNK_BYTES } from '../../block/geometry.ts';
import { type Piece, planRead } from '../../block/read-plan.ts';

/** What one chunk of a file takes from the origin. */
export interface ChunkBlocks {
  /** Blocks that hold visible bytes of the chunk, each once. */
  readonly keys: readonly BlockKey[];
  /** Parts of slices that are visible. */
  readonly pieces: number;
}

/** How many chunks a file of that length has. */
export function chunkCount(lengthBytes: number): number {
  return Math.ceil(lengthBytes / CHUNK_BYTES);
}

/**
 * The blocks of one chunk.
 *
 * @param pieces - of the chunk
 * @param file - its length, and the chunk's number in it
 * @param blockBytes - the volume's block size
 * @throws SliceRecordError when a piece reaches beyond its slice
 */
export function blocksOfChunk(
  pieces: readonly Piece[],
  file: { lengthBytes: number; index: number },
  blockBytes: number,
): ChunkBlocks {
  const length = Math.min(CHUNK_BYTES, file.lengthBytes - file.index * CHUNK_BYTES);
  const keys = new Map<string, BlockKey>();
  for (const { key } of planRead(pieces, { offset: 0, length }, blockBytes)) {
    if (key !== undefined) keys.set(blockIdOf(key), key);
  }
  const visible = pieces.filter(({ sliceId, pos }) => sliceId !== 0n && pos < length);
  return { keys: [...keys.values()], pieces: visible.length };
}
