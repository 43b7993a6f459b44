import { attachClone, cloneNode, dropClone } from './clone-node.ts';
import { commitSlices } from './commit-slices.ts';
import { compactChunk } from './compact-chunk.ts';
import { copyRange } from './copy-range.ts';
import {
  claimJob,
  deleteChunk,
  finishDeletion,
  forgetSlices,
  releaseDelayed,
} from './delete-data.ts';
import { removeDirQuota, setDirQuota } from './dir-quota.ts';
import { dropSustained } from './drop-sustained.ts';
import { allocateRange } from './fallocate.ts';
import { findRangeLock, setFlock, setRangeLock } from './file-locks.ts';
import { linkName } from './link.ts';
import { makeNode, makeTrashDir } from './make-node.ts';
import type { MetaTx } from './meta-tx.ts';
import { setOwnerQuota } from './owner-quota.ts';
import { renameName } from './rename.ts';
import { removeDirectory } from './rmdir.ts';
import { setAcl } from './set-acl.ts';
import { setAttributes } from './setattr.ts';
import { truncateFile } from './truncate.ts';
import { unlinkName } from './unlink.ts';
import { removeXattr, setXattr } from './xattr.ts';

/**
 * The bodies of all transactions, by name: engines run them where their transactions are, so that
 * arguments and results can be cloned between threads. A body may run many times, each time from
 * scratch; what it throws undoes what it did.
 */
export const WRITE_OPS = {
  makeNode,
  makeTrashDir,
  unlinkName,
  removeDirectory,
  renameName,
  linkName,
  setAttributes,
  setAcl,
  setXattr,
  removeXattr,
  truncateFile,
  allocateRange,
  copyRange,
  commitSlices,
  dropSustained,
  setFlock,
  setRangeLock,
  findRangeLock,
  deleteChunk,
  finishDeletion,
  forgetSlices,
  releaseDelayed,
  claimJob,
  compactChunk,
  cloneNode,
  attachClone,
  dropClone,
  setDirQuota,
  removeDirQuota,
  setOwnerQuota,
} as const;

/** Name of a transaction. */
export type WriteOp = keyof typeof WRITE_OPS;

/** What a transaction is told. */
export type WriteArgs<Op extends WriteOp> = Parameters<(typeof WRITE_OPS)[Op]>[1];

/** What a transaction gives. */
export type WriteResult<Op extends WriteOp> = Awaited<ReturnType<(typeof WRITE_OPS)[Op]>>;

/** Runs a body by its name. */
export function runWriteOp<Op extends WriteOp>(
  tx: MetaTx,
  op: Op,
  args: WriteArgs<Op>,
): Promise<WriteResult<Op>> {
  const body = WRITE_OPS[op] as (in_: MetaTx, of: WriteArgs<Op>) => Promise<WriteResult<Op>>;
  return body(tx, args);
}
