import { FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import { DirLedger } from './dir-ledger.ts';
import { eraseInode } from './drop-inode.ts';
import { isTrashIno, trashEntryName } from './entry-name.ts';
import type { MetaTx } from './meta-tx.ts';
import { SKIP_TRASH } from './node-flags.ts';
import { spaceOfLength } from './node-space.ts';
import { touch } from './touch.ts';
import { checkRemoval, type RemovedName, type RemoveName } from './unlink.ts';

/** @see NameWriter.rmdir */
export async function removeDirectory(tx: MetaTx, args: RemoveName): Promise<RemovedName> {
  const { parent, name, caller } = args;
  const [dir, edge, ledger] = await Promise.all([
    tx.attr(parent),
    tx.edge(parent, name),
    DirLedger.open(tx, parent),
  ]);
  if (dir === undefined || edge === undefined) throw new FsError('ENOENT');
  if (edge.type !== FileType.directory) throw new FsError('ENOTDIR');
  const { ino } = edge;
  const [attr, hasEntries] = await Promise.all([tx.attr(ino), tx.hasEntries(ino)]);
  await checkRemoval(tx, dir, attr, caller);
  if (hasEntries) throw new FsError('ENOTEMPTY');
  const isInTrash = isTrashIno(parent);
  tx.removeEdge(parent, name);
  tx.dropDirStats(ino);
  tx.dropDirQuota(ino);
  if (!isInTrash) tx.updateNode(parent, { ...touch(dir, tx.now), nlink: dir.nlink - 1 });
  const less = { length: 0n, space: -spaceOfLength(0n), inodes: -1n };
  ledger.chargeStats(less);
  if (!isInTrash) ledger.chargeQuotas(less);
  const gone = { ino, attr: undefined, deleted: undefined, isSustained: false };
  if (attr === undefined) return gone;
  const { trash } = args;
  if (trash === undefined || (attr.flags & SKIP_TRASH) !== 0) {
    eraseInode(tx, ino, attr);
    return gone;
  }
  const trashLedger = await DirLedger.open(tx, trash);
  const moved = { ...attr, ctime: tx.now, parent: trash };
  tx.updateNode(ino, moved);
  tx.putEdge(trash, trashEntryName(parent, ino, name), edge);
  trashLedger.chargeStats({ length: 0n, space: spaceOfLength(0n), inodes: 1n });
  return { ...gone, attr: moved };
}
