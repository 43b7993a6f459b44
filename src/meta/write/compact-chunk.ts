import type { SliceRecord } from '../../block/slice-record.ts';
import type { Ino } from '../../posix/ino.ts';
import { release } from './delete-data.ts';
import type { MetaTx, SliceSize } from './meta-tx.ts';

/** Arguments of {@link compactChunk}. */
export interface CompactChunk {
  readonly ino: Ino;
  readonly index: number;
  /** The oldest records, as they were read. */
  readonly read: readonly SliceRecord[];
  /** So many of them, from the beginning, stay as they are. */
  readonly skipped: number;
  /** What takes the place of the others. */
  readonly by: { readonly pos: number; readonly id: bigint; readonly size: number };
}

/** What became of a compaction. */
export interface CompactedChunk {
  /** False when somebody else was faster: the new slice is to be deleted. */
  readonly isDone: boolean;
  /** Slices that nothing refers to any more; with a trash they wait instead. */
  readonly unused: readonly SliceSize[];
}

/** Puts one new slice in the place of many, if they are there still. */
export async function compactChunk(tx: MetaTx, args: CompactChunk): Promise<CompactedChunk> {
  const { ino, index, read, skipped, by } = args;
  const present = (await tx.chunk(ino, index)).slice(0, read.length);
  const isSame = present.length === read.length && read.every((r, at) => same(r, present[at]));
  if (!isSame) {
    // Known from now on as a slice without references, whatever becomes of us.
    tx.putSliceRefs(by.id, by.size, 0);
    return { isDone: false, unused: [] };
  }
  const record = { pos: by.pos, sliceId: by.id, size: by.size, off: 0, len: by.size };
  tx.replaceRecords(ino, index, read.length, [...read.slice(0, skipped), record]);
  tx.putSliceRefs(by.id, by.size, 1);
  const replaced = read
    .slice(skipped)
    .filter(({ sliceId }) => sliceId > 0n)
    .map(({ sliceId, size }) => ({ id: sliceId, size }));
  if (tx.rules.trashDays === 0) return { isDone: true, unused: release(tx, replaced) };
  if (replaced.length > 0) tx.putDelayed({ id: by.id, seconds: tx.now.seconds }, replaced);
  return { isDone: true, unused: [] };
}

function same(a: SliceRecord, b: SliceRecord | undefined): boolean {
  return (
    b !== undefined &&
    a.pos === b.pos &&
    a.sliceId === b.sliceId &&
    a.size === b.size &&
    a.off === b.off &&
    a.len === b.len
  );
}
