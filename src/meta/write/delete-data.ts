import type { Ino } from '../../posix/ino.ts';
import type { DelayedName, JobName, MetaTx, SliceSize } from './meta-tx.ts';

/**
 * Takes a chunk of a deleted file away.
 *
 * @returns the slices that nothing refers to any more
 */
export async function deleteChunk(
  tx: MetaTx,
  { ino, index }: { ino: Ino; index: number },
): Promise<readonly SliceSize[]> {
  const records = await tx.chunk(ino, index);
  if (records.length === 0) return [];
  tx.removeChunk(ino, index);
  return release(
    tx,
    records
      .filter(({ sliceId }) => sliceId > 0n)
      .map(({ sliceId, size }) => ({ id: sliceId, size })),
  );
}

/** All chunks of a deleted file are gone. */
export async function finishDeletion(
  tx: MetaTx,
  { ino, length }: { ino: Ino; length: bigint },
): Promise<void> {
  tx.dropDeletion(ino, length);
}

/** The objects of slices that nothing refers to are gone. */
export async function forgetSlices(tx: MetaTx, slices: readonly SliceSize[]): Promise<void> {
  for (const { id, size } of slices) tx.forgetSlice(id, size);
}

/**
 * Releases slices that a compaction replaced and that have waited long enough.
 *
 * @returns those that nothing refers to any more
 */
export async function releaseDelayed(tx: MetaTx, name: DelayedName): Promise<readonly SliceSize[]> {
  const slices = await tx.delayedSlices(name);
  if (slices.length === 0) return [];
  tx.dropDelayed(name);
  return release(tx, slices);
}

/** Takes one reference of each away. The list that comes back fills when the transaction commits. */
export function release(tx: MetaTx, slices: readonly SliceSize[]): readonly SliceSize[] {
  const unused = new Map<string, SliceSize>();
  const list: SliceSize[] = [];
  for (const slice of slices) {
    tx.addSliceRefs(slice.id, slice.size, -1, (refs) => {
      const key = `${slice.id}_${slice.size}`;
      if (refs > 0 || unused.has(key)) return;
      unused.set(key, slice);
      list.push(slice);
    });
  }
  return list;
}

/**
 * Takes a job that one client does for all.
 *
 * @returns whether it is ours: nobody has begun it within the last `minAgeSeconds`
 */
export async function claimJob(
  tx: MetaTx,
  { job, minAgeSeconds }: { job: JobName; minAgeSeconds: number },
): Promise<boolean> {
  const stamp = await tx.jobStamp(job);
  if (stamp > tx.now.seconds - minAgeSeconds) return false;
  tx.putJobStamp(job, tx.now.seconds);
  return true;
}
