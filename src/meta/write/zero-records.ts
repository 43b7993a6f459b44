import { CHUNK_BYTES } from '../../block/geometry.ts';
import type { SliceRecord } from '../../block/slice-record.ts';
import type { Ino } from '../../posix/ino.ts';
import type { MetaTx } from './meta-tx.ts';

const CHUNK = BigInt(CHUNK_BYTES);

/** A record that makes a part of a chunk read as zeros. */
export function zeroRecord(pos: number, len: number): SliceRecord {
  return { pos, sliceId: 0n, size: 0, off: 0, len };
}

/** Chunk of a file offset, and the place in it. */
export function chunkAt(offset: bigint): { index: number; pos: number } {
  return { index: Number(offset / CHUNK), pos: Number(offset % CHUNK) };
}

/** Makes a range read as zeros, one record per chunk. */
export function appendZeros(tx: MetaTx, ino: Ino, from: bigint, to: bigint): void {
  for (let at = from; at < to; ) {
    const { index, pos } = chunkAt(at);
    const len = Math.min(CHUNK_BYTES - pos, Number(to - at));
    tx.appendRecord(ino, index, zeroRecord(pos, len));
    at += BigInt(len);
  }
}

/**
 * What truncation does between the old and the new length: the same records for both directions, and
 * none for chunks in between that have no data.
 */
export async function appendTruncation(
  tx: MetaTx,
  ino: Ino,
  left: bigint,
  right: bigint,
): Promise<void> {
  const first = chunkAt(left);
  const last = chunkAt(right);
  const crosses = right > BigInt(first.index + 1) * CHUNK;
  const middle =
    last.index - first.index > 1 ? await tx.chunksWithin(ino, first.index + 1, last.index - 1) : [];
  const len = crosses ? CHUNK_BYTES - first.pos : Number(right - left);
  tx.appendRecord(ino, first.index, zeroRecord(first.pos, len));
  for (const index of middle) tx.appendToExisting(ino, index, zeroRecord(0, CHUNK_BYTES));
  if (crosses && last.pos > 0) tx.appendRecord(ino, last.index, zeroRecord(0, last.pos));
}
