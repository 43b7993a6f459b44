import { type Attr, FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Caller } from '../caller.ts';
import type { Edge } from '../edge-codec.ts';
import { DirLedger } from './dir-ledger.ts';
import { dropInode } from './drop-inode.ts';
import { isTrashIno, trashEntryName } from './entry-name.ts';
import type { MetaTx } from './meta-tx.ts';
import { isPinned, SKIP_TRASH } from './node-flags.ts';
import { contentLength, spaceOf, spaceOfLength } from './node-space.ts';
import { Access, checkAccess, checkSticky } from './permissions.ts';
import { touchForName } from './touch.ts';

/** Arguments of {@link unlinkName} and of `removeDirectory`. */
export interface RemoveName {
  readonly parent: Ino;
  readonly name: Uint8Array;
  /** The hourly directory that it goes to; undefined: nowhere. */
  readonly trash: Ino | undefined;
  readonly caller: Caller;
}

/** What lost a name, and what is left to do. */
export interface RemovedName {
  readonly ino: Ino;
  /** As it is now; undefined when it is gone. */
  readonly attr: Attr | undefined;
  /** Length of a regular file that is gone, whose data is to be deleted. */
  readonly deleted: bigint | undefined;
  /** Unlinked, and open here. */
  readonly isSustained: boolean;
}

/** @see NameWriter.unlink */
export async function unlinkName(tx: MetaTx, args: RemoveName): Promise<RemovedName> {
  const { parent, name, caller } = args;
  const [stored, edge, ledger] = await Promise.all([
    tx.attr(parent),
    tx.edge(parent, name),
    DirLedger.open(tx, parent),
  ]);
  if (edge === undefined) throw new FsError('ENOENT');
  if (edge.type === FileType.directory) throw new FsError('EPERM', 'a directory');
  const attr = await tx.attr(edge.ino);
  const dir = await checkRemoval(tx, stored, attr, caller);
  tx.removeEdge(parent, name);
  const touched = isTrashIno(parent) ? undefined : touchForName(tx, dir);
  if (touched !== undefined) tx.updateNode(parent, touched);
  chargeParent(ledger, parent, attr, edge);
  if (attr === undefined) {
    // A name without an inode: nothing was counted but the name.
    return { ino: edge.ino, attr: undefined, deleted: undefined, isSustained: false };
  }
  const trash = await trashFor(tx, args, edge, attr);
  if (trash !== undefined) return moveToTrash(tx, args, { edge, attr, trash });
  return dropName(tx, parent, edge, { ...attr, ctime: tx.now, nlink: attr.nlink - 1 });
}

/**
 * What is done to an inode, not a directory, that lost a name in `parent` for good.
 *
 * @param attr - as it is now
 */
export async function dropName(
  tx: MetaTx,
  parent: Ino,
  edge: Edge,
  attr: Attr,
): Promise<RemovedName> {
  const { ino } = edge;
  if (attr.nlink > 0) {
    tx.updateNode(ino, attr);
    if (attr.parent === 0n) tx.addLinks(ino, parent, -1);
    return { ino, attr, deleted: undefined, isSustained: false };
  }
  const dropped = await dropInode(tx, ino, attr);
  if (dropped === 'sustained') return { ino, attr, deleted: undefined, isSustained: true };
  const deleted = attr.type === FileType.file ? attr.length : undefined;
  return { ino, attr: undefined, deleted, isSustained: false };
}

/** Gives an inode its name in the trash. @param name - the one that it had in `parent` */
export async function moveToTrash(
  tx: MetaTx,
  { parent, name }: { parent: Ino; name: Uint8Array },
  { edge, attr, trash }: { edge: Edge; attr: Attr; trash: Ino },
): Promise<RemovedName> {
  const { ino } = edge;
  const ledger = await DirLedger.open(tx, trash);
  const hasOneParent = attr.parent !== 0n;
  const moved = { ...attr, ctime: tx.now, parent: hasOneParent ? trash : attr.parent };
  tx.updateNode(ino, moved);
  tx.putEdge(trash, trashEntryName(parent, ino, name), edge);
  if (!hasOneParent) {
    tx.addLinks(ino, trash, 1);
    tx.addLinks(ino, parent, -1);
  }
  ledger.chargeStats({ length: contentLength(attr), space: spaceOf(attr), inodes: 1n });
  return { ino, attr: moved, deleted: undefined, isSustained: false };
}

/**
 * @returns the directory
 * @throws FsError when the name may not be taken away
 */
export async function checkRemoval(
  tx: MetaTx,
  dir: Attr | undefined,
  attr: Attr | undefined,
  caller: Caller,
): Promise<Attr> {
  if (dir === undefined) throw new FsError('ENOENT');
  if (dir.type !== FileType.directory) throw new FsError('ENOTDIR');
  await checkAccess(tx, caller, dir, Access.write | Access.search);
  if (isPinned(dir)) throw new FsError('EPERM');
  if (attr === undefined) return dir;
  checkSticky(caller, dir, attr);
  if (isPinned(attr)) throw new FsError('EPERM');
  return dir;
}

/** The trash, unless the inode wants none, or the same name of it lies there already. */
export async function trashFor(
  tx: MetaTx,
  { parent, name, trash }: Omit<RemoveName, 'caller'>,
  edge: Edge,
  attr: Attr,
): Promise<Ino | undefined> {
  if (trash === undefined || (attr.flags & SKIP_TRASH) !== 0) return undefined;
  if (attr.nlink <= 1) return trash;
  const there = await tx.peekEdge(trash, trashEntryName(parent, edge.ino, name));
  return there === undefined ? trash : undefined;
}

function chargeParent(ledger: DirLedger, parent: Ino, attr: Attr | undefined, edge: Edge): void {
  const length = attr === undefined ? 0n : contentLength({ ...attr, type: edge.type });
  const less = { length: -length, space: -spaceOfLength(length), inodes: -1n };
  ledger.chargeStats(less);
  if (!isTrashIno(parent)) ledger.chargeQuotas(less);
}
