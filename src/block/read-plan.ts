import { CodedError } from '../runtime/coded-error.ts';
import type { BlockKey } from './block-key.ts';
import type { ByteRange } from './byte-range.ts';
import type { SliceRecord } from './slice-record.ts';

/** A slice record that cannot be: it uses bytes beyond the end of its slice. */
export class SliceRecordError extends CodedError<'bad-slice'> {}

/** A part of a chunk that comes from one slice; slice id 0 is a hole. */
export interface Piece {
  /** Offset in the chunk. */
  readonly pos: number;
  /** Length of this part. */
  readonly len: number;
  readonly sliceId: bigint;
  /** Length of the whole slice. */
  readonly size: number;
  /** Where in the slice this part begins. */
  readonly off: number;
}

/** Bytes of a chunk that are zero. */
export interface HoleStep {
  /** Where in the chunk. */
  readonly at: ByteRange;
  readonly key: undefined;
}

/** Bytes of a chunk that stand in one block. */
export interface BlockStep {
  /** Where in the chunk. */
  readonly at: ByteRange;
  readonly key: BlockKey;
  /** Where in the block; as long as `at`. */
  readonly inBlock: ByteRange;
}

/** What to read for one part of a chunk. */
export type ReadStep = HoleStep | BlockStep;

/**
 * Lays the records of a chunk over each other, later ones over earlier ones.
 *
 * @param records - in list order
 * @returns ascending, disjoint pieces that cover 0 … the end of the last record without gaps; what
 *   was never written is a hole. Takes O(n log n)
 */
export function resolveSlices(records: readonly SliceRecord[]): Piece[] {
  const bounds = boundariesOf(records);
  const owners = ownersOf(records, bounds);
  const pieces: Piece[] = [];
  for (let from = 0; from < owners.length; ) {
    const owner = owners[from] as number;
    let to = from + 1;
    while (to < owners.length && owners[to] === owner) to += 1;
    pieces.push(pieceOf(records[owner], bounds[from] as number, bounds[to] as number));
    from = to;
  }
  return pieces;
}

/** All offsets where some record begins or ends, ascending, each once, with 0 as the first. */
function boundariesOf(records: readonly SliceRecord[]): Float64Array {
  const all = new Float64Array(records.length * 2 + 1);
  let count = 1;
  for (const { pos, len } of records) {
    if (len === 0) continue;
    all[count] = pos;
    all[count + 1] = pos + len;
    count += 2;
  }
  const sorted = all.subarray(0, count).sort();
  let distinct = 1;
  for (let index = 1; index < count; index += 1) {
    if (sorted[index] === sorted[distinct - 1]) continue;
    sorted[distinct] = sorted[index] as number;
    distinct += 1;
  }
  return sorted.subarray(0, distinct);
}

/**
 * For each stretch between two boundaries the index of the record that is on top there, or −1.
 *
 * The newest record is painted first, and older ones only where nothing is painted yet; `next`
 * leads past painted stretches (a union-find with path halving), so each is visited about once.
 */
function ownersOf(records: readonly SliceRecord[], bounds: Float64Array): Int32Array {
  const stretches = bounds.length - 1;
  const owners = new Int32Array(stretches).fill(-1);
  const next = Int32Array.from({ length: stretches + 1 }, (_, index) => index);
  for (let owner = records.length - 1; owner >= 0; owner -= 1) {
    const { pos, len } = records[owner] as SliceRecord;
    if (len === 0) continue;
    const end = pos + len;
    let at = firstFree(next, indexOf(bounds, pos));
    while (at < stretches && (bounds[at] as number) < end) {
      owners[at] = owner;
      next[at] = at + 1;
      at = firstFree(next, at);
    }
  }
  return owners;
}

function firstFree(next: Int32Array, from: number): number {
  let at = from;
  while (next[at] !== at) {
    const skip = next[next[at] as number] as number;
    next[at] = skip;
    at = skip;
  }
  return at;
}

/** Position of `value`, which is one of the ascending `bounds`. */
function indexOf(bounds: Float64Array, value: number): number {
  let low = 0;
  let high = bounds.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((bounds[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function pieceOf(record: SliceRecord | undefined, pos: number, end: number): Piece {
  const len = end - pos;
  if (record === undefined) return { pos, len, sliceId: 0n, size: len, off: 0 };
  return {
    pos,
    len,
    sliceId: record.sliceId,
    size: record.size,
    off: record.off + pos - record.pos,
  };
}

/**
 * What to read for the bytes `range` of a chunk, in ascending order and without gaps.
 *
 * @param pieces - of {@link resolveSlices}; what lies behind the last one is a hole
 * @param range - inside the chunk
 * @param blockBytes - the volume's block size
 * @throws SliceRecordError (`bad-slice`) when a piece reaches beyond its slice
 */
export function planRead(
  pieces: readonly Piece[],
  range: ByteRange,
  blockBytes: number,
): ReadStep[] {
  const steps: ReadStep[] = [];
  const end = range.offset + range.length;
  let at = range.offset;
  for (let index = pieceIndexAt(pieces, at); index < pieces.length && at < end; index += 1) {
    const piece = pieces[index] as Piece;
    const stop = Math.min(end, piece.pos + piece.len);
    if (piece.sliceId === 0n) pushHole(steps, at, stop);
    else pushBlocks(steps, piece, { from: at, to: stop, blockBytes });
    at = stop;
  }
  if (at < end) pushHole(steps, at, end);
  return steps;
}

/** Index of the piece that holds offset `at`, or the number of pieces when it is behind them all. */
export function pieceIndexAt(pieces: readonly Piece[], at: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const piece = pieces[middle] as Piece;
    if (piece.pos + piece.len <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

function pushHole(steps: ReadStep[], from: number, to: number): void {
  const last = steps.at(-1);
  if (last === undefined || last.key !== undefined) {
    steps.push({ at: { offset: from, length: to - from }, key: undefined });
    return;
  }
  const offset = last.at.offset;
  steps[steps.length - 1] = { at: { offset, length: to - offset }, key: undefined };
}

function pushBlocks(
  steps: ReadStep[],
  piece: Piece,
  { from, to, blockBytes }: { from: number; to: number; blockBytes: number },
): void {
  const { sliceId, size, off, pos, len } = piece;
  if (off + len > size) {
    const message = `slice ${sliceId} has ${size} bytes, but ${len} from ${off} are used`;
    throw new SliceRecordError('bad-slice', message);
  }
  for (let at = from; at < to; ) {
    const inSlice = off + at - pos;
    const index = Math.floor(inSlice / blockBytes);
    const sizeBytes = Math.min(blockBytes, size - index * blockBytes);
    const offset = inSlice - index * blockBytes;
    const length = Math.min(to - at, sizeBytes - offset);
    const key = { sliceId, index, sizeBytes };
    steps.push({ at: { offset: at, length }, key, inBlock: { offset, length } });
    at += length;
  }
}
