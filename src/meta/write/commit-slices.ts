import { CHUNK_BYTES } from '../../block/geometry.ts';
import { FileType, type Timespec } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Committed, SliceCommit } from '../writer.ts';
import { chargeLength } from './growth.ts';
import type { MetaTx } from './meta-tx.ts';

/** Arguments of {@link commitSlices}. */
export interface CommitSlices {
  readonly ino: Ino;
  readonly commits: readonly SliceCommit[];
  readonly mtime: Timespec;
}

/** @see DataWriter.commitSlices */
export async function commitSlices(tx: MetaTx, args: CommitSlices): Promise<Committed> {
  const { ino, commits, mtime } = args;
  const attr = await tx.attr(ino);
  if (attr === undefined) throw new FsError('ENOENT');
  if (attr.type !== FileType.file) throw new FsError('EPERM');
  const length = commits.reduce((longest, commit) => {
    const end = endOf(commit);
    return end > longest ? end : longest;
  }, attr.length);
  await chargeLength(tx, ino, attr, length);
  const recordCounts: number[] = [];
  commits.forEach(({ index, record }, at) => {
    tx.appendRecord(ino, index, record, (count) => {
      recordCounts[at] = count;
    });
    if (record.sliceId > 0n) tx.addSlice(record.sliceId, record.size);
  });
  const changed = { ...attr, length, mtime, ctime: tx.now };
  tx.updateNode(ino, changed);
  return { attr: changed, recordCounts };
}

function endOf({ index, record }: SliceCommit): bigint {
  return BigInt(index) * BigInt(CHUNK_BYTES) + BigInt(record.pos + record.len);
}
