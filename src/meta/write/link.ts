import { type Attr, FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import { type Ino, toIno } from '../../posix/ino.ts';
import type { Caller } from '../caller.ts';
import { DirLedger } from './dir-ledger.ts';
import { isTrashed } from './entry-name.ts';
import type { MetaTx } from './meta-tx.ts';
import { isImmutable, isPinned } from './node-flags.ts';
import { contentLength, spaceOf } from './node-space.ts';
import { Access, checkAccess } from './permissions.ts';
import { touchForName } from './touch.ts';
import { checkOwner } from './volume-ledger.ts';

/** Arguments of {@link linkName}. */
export interface LinkName {
  readonly ino: Ino;
  readonly parent: Ino;
  readonly name: Uint8Array;
  readonly caller: Caller;
}

/** @see NameWriter.link */
export async function linkName(tx: MetaTx, args: LinkName): Promise<Attr> {
  const { ino, parent, name, caller } = args;
  const [dir, attr, found, ledger] = await Promise.all([
    tx.attr(parent),
    tx.attr(ino),
    tx.edge(parent, name),
    DirLedger.open(tx, parent),
  ]);
  if (dir === undefined || attr === undefined) throw new FsError('ENOENT');
  if (dir.type !== FileType.directory) throw new FsError('ENOTDIR');
  if (isTrashed(dir)) throw new FsError('ENOENT', 'the directory is in the trash');
  await checkAccess(tx, caller, dir, Access.write | Access.search);
  if (isImmutable(dir)) throw new FsError('EPERM');
  if (attr.type === FileType.directory) throw new FsError('EPERM', 'a directory');
  if (isPinned(attr)) throw new FsError('EPERM');
  // Unlinked, and kept for whoever has it open: its names and counts are gone for good.
  if (attr.nlink === 0) throw new FsError('ENOENT', 'the last name is gone');
  if (found !== undefined) throw new FsError('EEXIST');
  await checkOwner(tx, attr, { space: 0n, inodes: 1n });
  const more = { length: contentLength(attr), space: spaceOf(attr), inodes: 1n };
  ledger.check(more);
  const linked = { ...attr, parent: toIno(0n), ctime: tx.now, nlink: attr.nlink + 1 };
  const touched = touchForName(tx, dir);
  tx.putEdge(parent, name, { type: attr.type, ino });
  if (touched !== undefined) tx.updateNode(parent, touched);
  tx.updateNode(ino, linked);
  if (attr.parent > 0n) tx.addLinks(ino, attr.parent, 1);
  tx.addLinks(ino, parent, 1);
  ledger.charge(more);
  return linked;
}
