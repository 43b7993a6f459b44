import { type Attr, FileType } from '../../posix/attr.ts';
import type { Edge } from '../edge-codec.ts';
import { eraseInode } from './drop-inode.ts';
import type { MetaTx } from './meta-tx.ts';
import { SKIP_TRASH } from './node-flags.ts';
import { movedParent } from './rename-parents.ts';
import type { RenameState } from './rename-state.ts';
import { dropName, moveToTrash, type RemovedName, trashFor } from './unlink.ts';

/** What had the new name before. */
export type Replaced = RemovedName;

/** Gives the old name to what had the new one. */
export function swapTarget(tx: MetaTx, state: RenameState): Replaced | undefined {
  const { args, isSameParent, dst, dstAttr } = state;
  if (dst === undefined) return undefined;
  const { from, to } = args;
  tx.putEdge(from.parent, from.name, dst);
  const base = { ino: dst.ino, deleted: undefined, isSustained: false };
  if (dstAttr === undefined) return { ...base, attr: undefined };
  const attr = { ...movedParent(state, dstAttr, from.parent), ctime: tx.now };
  tx.updateNode(dst.ino, attr);
  if (!isSameParent && attr.parent === 0n) {
    tx.addLinks(dst.ino, from.parent, 1);
    tx.addLinks(dst.ino, to.parent, -1);
  }
  return { ...base, attr };
}

/** Takes the new name away from what has it. */
export async function replaceTarget(tx: MetaTx, state: RenameState, dst: Edge): Promise<Replaced> {
  const { args, dstAttr } = state;
  const isDirectory = dst.type === FileType.directory;
  tx.removeEdge(args.to.parent, args.to.name);
  if (isDirectory) tx.dropDirQuota(dst.ino);
  if (dstAttr === undefined) {
    return { ino: dst.ino, attr: undefined, deleted: undefined, isSustained: false };
  }
  const trash = await targetTrash(tx, state, dst, dstAttr);
  if (trash !== undefined) {
    return moveToTrash(tx, args.to, { edge: dst, attr: dstAttr, trash });
  }
  if (!isDirectory) {
    const attr = { ...dstAttr, ctime: tx.now, nlink: dstAttr.nlink - 1 };
    return dropName(tx, args.to.parent, dst, attr);
  }
  tx.dropDirStats(dst.ino);
  eraseInode(tx, dst.ino, dstAttr);
  return { ino: dst.ino, attr: undefined, deleted: undefined, isSustained: false };
}

async function targetTrash(tx: MetaTx, { args }: RenameState, dst: Edge, attr: Attr) {
  if (dst.type === FileType.directory) {
    return (attr.flags & SKIP_TRASH) === 0 ? args.trash : undefined;
  }
  return trashFor(tx, { ...args.to, trash: args.trash }, dst, attr);
}
