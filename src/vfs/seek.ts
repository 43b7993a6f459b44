import { CHUNK_BYTES } from '../block/geometry.ts';
import type { Piece } from '../block/read-plan.ts';
import { FsError } from '../posix/errno.ts';
import type { FileVersion } from './file-version.ts';
import type { PlanCache } from './plan-cache.ts';

/** What lseek(2) looks for, and from where. */
export interface SeekRequest {
  readonly offset: number;
  readonly whence: 'data' | 'hole';
}

/**
 * SEEK_DATA and SEEK_HOLE from slice lists; the end of the file is a hole.
 *
 * @returns the offset of the first data, or hole, at or behind `offset`
 * @throws FsError ENXIO behind the end, or when no data follows; what {@link PlanCache.load} throws
 */
export async function seek(
  plans: PlanCache,
  version: FileVersion,
  request: SeekRequest,
  signal: AbortSignal,
): Promise<number> {
  const { offset, whence } = request;
  const length = version.lengthBytes;
  if (offset < 0 || offset >= length) throw new FsError('ENXIO');
  for (let at = offset; at < length; ) {
    const index = Math.floor(at / CHUNK_BYTES);
    const base = index * CHUNK_BYTES;
    // Chunk by chunk: mostly the first one has the answer.
    const pieces = await plans.load(version, index, signal);
    const found = findIn(pieces, at - base, whence === 'data');
    if (found !== undefined && base + found < length) return base + found;
    at = base + CHUNK_BYTES;
  }
  if (whence === 'data') throw new FsError('ENXIO');
  return length;
}

/** The first offset in the chunk from `from` on that is (or is not) data. */
function findIn(pieces: readonly Piece[], from: number, data: boolean): number | undefined {
  let end = 0;
  for (const piece of pieces) {
    end = piece.pos + piece.len;
    if (end > from && (piece.sliceId !== 0n) === data) return Math.max(from, piece.pos);
  }
  if (data) return undefined;
  const behind = Math.max(from, end);
  return behind < CHUNK_BYTES ? behind : undefined;
}
