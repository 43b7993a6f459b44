import { CHUNK_BYTES } from '../../block/geometry.ts';
import { type Piece, resolveSlices } from '../../block/read-plan.ts';
import type { SliceRecord } from '../../block/slice-record.ts';
import { type Attr, FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { CopyRange } from '../writer.ts';
import { chargeLength } from './growth.ts';
import type { MetaTx } from './meta-tx.ts';
import { isPinned } from './node-flags.ts';
import { touch } from './touch.ts';
import { chunkAt, zeroRecord } from './zero-records.ts';

/** A piece of the source in its place in the target. */
interface Placed {
  readonly index: number;
  readonly record: SliceRecord;
}

/** @see DataWriter.copyFileRange */
export async function copyRange(
  tx: MetaTx,
  range: CopyRange,
): Promise<{ copied: bigint; attr: Attr }> {
  const { from, to } = range;
  const [source, target] = await Promise.all([tx.attr(from.ino), tx.attr(to.ino)]);
  if (source === undefined || target === undefined) throw new FsError('ENOENT');
  if (source.type !== FileType.file || target.type !== FileType.file) throw new FsError('EINVAL');
  if (from.offset >= source.length) return { copied: 0n, attr: target };
  if (isPinned(target)) throw new FsError('EPERM');
  const left = source.length - from.offset;
  const copied = range.length < left ? range.length : left;
  if (copied <= 0n) return { copied: 0n, attr: target };
  const end = to.offset + copied;
  const length = end > target.length ? end : target.length;
  await chargeLength(tx, to.ino, target, length);
  for (const { index, record } of await placedPieces(tx, range, copied)) {
    tx.appendRecord(to.ino, index, record);
    if (record.sliceId > 0n) tx.addSliceRefs(record.sliceId, record.size, 1);
  }
  const changed = { ...touch(target, tx.now), length };
  tx.updateNode(to.ino, changed);
  return { copied, attr: changed };
}

async function placedPieces(tx: MetaTx, { from, to }: CopyRange, size: bigint): Promise<Placed[]> {
  const first = chunkAt(from.offset).index;
  const last = chunkAt(from.offset + size - 1n).index;
  const indexes = Array.from({ length: last - first + 1 }, (_, step) => first + step);
  const lists = await Promise.all(indexes.map((index) => tx.chunk(from.ino, index)));
  const placed: Placed[] = [];
  lists.forEach((records, step) => {
    const base = BigInt(first + step) * BigInt(CHUNK_BYTES);
    // A hole below everything, so that what was never written covers what the target has there.
    for (const piece of resolveSlices([zeroRecord(0, CHUNK_BYTES), ...records])) {
      const part = cut(piece, base, from.offset, from.offset + size);
      if (part !== undefined) place(part, part.at - from.offset + to.offset, placed);
    }
  });
  return placed;
}

interface Part extends Piece {
  /** Offset in the source file. */
  readonly at: bigint;
}

/** The part of a piece that lies in a range of the file. */
function cut(piece: Piece, base: bigint, start: bigint, end: bigint): Part | undefined {
  const pieceStart = base + BigInt(piece.pos);
  const pieceEnd = pieceStart + BigInt(piece.len);
  const at = pieceStart > start ? pieceStart : start;
  const stop = pieceEnd < end ? pieceEnd : end;
  if (at >= stop) return undefined;
  const off = piece.sliceId === 0n ? 0 : piece.off + Number(at - pieceStart);
  const size = piece.sliceId === 0n ? 0 : piece.size;
  return { ...piece, at, off, size, len: Number(stop - at) };
}

/** Puts a part at an offset of the target, in two records when it crosses a chunk's end. */
function place(part: Part, offset: bigint, placed: Placed[]): void {
  let done = 0;
  while (done < part.len) {
    const { index, pos } = chunkAt(offset + BigInt(done));
    const len = Math.min(part.len - done, CHUNK_BYTES - pos);
    const { sliceId, size } = part;
    const off = sliceId === 0n ? 0 : part.off + done;
    placed.push({ index, record: { pos, sliceId, size, off, len } });
    done += len;
  }
}
