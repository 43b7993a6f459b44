import { type Attr, FileType } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import type { MetaTx } from './meta-tx.ts';
import { spaceOf } from './node-space.ts';
import { chargeOwner } from './volume-ledger.ts';

/** What became of an inode whose last name went. */
export type Dropped = 'sustained' | 'gone';

/**
 * Removes an inode that has lost its last name, or keeps it without one when it is a file that this
 * session has open.
 *
 * @param attr - as it is now, with `nlink` 0
 */
export async function dropInode(tx: MetaTx, ino: Ino, attr: Attr): Promise<Dropped> {
  const isFile = attr.type === FileType.file;
  if (isFile && tx.sid !== undefined && (await tx.isOpen(ino))) {
    tx.updateNode(ino, attr);
    tx.sustain(ino);
    tx.strip(ino, attr);
    return 'sustained';
  }
  eraseInode(tx, ino, attr);
  return 'gone';
}

/** Removes an inode, whose data is left to be deleted. */
export function eraseInode(tx: MetaTx, ino: Ino, attr: Attr): void {
  if (attr.type === FileType.file) tx.queueDeletion(ino, attr.length);
  tx.removeNode(ino, attr);
  const less = { space: -spaceOf(attr), inodes: -1n };
  tx.addUsage(less);
  chargeOwner(tx, attr, less);
}
