import { type Piece, resolveSlices } from './read-plan.ts';
import type { SliceRecord } from './slice-record.ts';

/** More records than this are left for the next time. */
const RECORDS_MAX = 1000;
/** A slice of this size that nothing lies over is left where it is, … */
const LARGE_BYTES = 1 << 20;
/** … when it is at least this part of all that is there. */
const LARGE_PART = 5;

/** How the oldest records of a chunk become one. */
export interface CompactionPlan {
  /** The records that it is about, from the beginning of the list. */
  readonly read: readonly SliceRecord[];
  /** So many of them, from the beginning, stay as they are. */
  readonly skipped: number;
  /** Where the new slice lies in the chunk. */
  readonly pos: number;
  readonly size: number;
  /** What the new slice is made of, without gaps; `pos` counts from the chunk's beginning. */
  readonly pieces: readonly Piece[];
}

/**
 * Plans the compaction of a chunk as JuiceFS does.
 *
 * @param records - all of the chunk, in list order
 * @returns undefined when there is nothing to be won
 */
export function planCompaction(records: readonly SliceRecord[]): CompactionPlan | undefined {
  const read = records.slice(0, RECORDS_MAX);
  const skipped = countSkipped(read);
  const rest = read.slice(skipped);
  if (rest.length < 2) return undefined;
  const { pos, size, pieces } = compacted(rest);
  return size === 0 ? undefined : { read, skipped, pos, size, pieces };
}

/** Without the holes at both ends; of nothing but holes, one byte remains. */
function compacted(records: readonly SliceRecord[]): Omit<CompactionPlan, 'read' | 'skipped'> {
  let pieces = resolveSlices(records);
  while (pieces.length > 1 && pieces[0]?.sliceId === 0n) pieces = pieces.slice(1);
  while (pieces.length > 1 && pieces.at(-1)?.sliceId === 0n) pieces = pieces.slice(0, -1);
  const [first] = pieces;
  if (first === undefined) return { pos: 0, size: 0, pieces };
  if (pieces.length === 1 && first.sliceId === 0n) pieces = [{ ...first, len: 1 }];
  const size = pieces.reduce((sum, { len }) => sum + len, 0);
  return { pos: first.pos, size, pieces };
}

/** Large slices in front that nothing lies over: rewriting them would cost more than it is worth. */
function countSkipped(records: readonly SliceRecord[]): number {
  let skipped = 0;
  for (let left = records; left.length > 0; left = left.slice(1)) {
    const [first, ...later] = left as [SliceRecord, ...SliceRecord[]];
    const { size, pieces } = compacted(left);
    if (first.len < LARGE_BYTES || first.len * LARGE_PART < size || size === 0) break;
    if (!isPiece(first, pieces[0]) || later.some((record) => isSame(record, first))) break;
    skipped += 1;
  }
  return skipped;
}

function isPiece(record: SliceRecord, piece: Piece | undefined): boolean {
  return (
    piece !== undefined &&
    piece.pos === record.pos &&
    piece.sliceId === record.sliceId &&
    piece.off === record.off &&
    piece.len === record.len
  );
}

function isSame(a: SliceRecord, b: SliceRecord): boolean {
  return isPiece(a, b) && a.size === b.size;
}
