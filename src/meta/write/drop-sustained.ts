import type { Ino } from '../../posix/ino.ts';
import { eraseInode } from './drop-inode.ts';
import type { MetaTx } from './meta-tx.ts';

/**
 * Removes an inode that was kept for a session that had it open.
 *
 * @returns its length, to delete its data by; undefined when it was gone already
 */
export async function dropSustained(
  tx: MetaTx,
  { ino, sid }: { ino: Ino; sid: bigint },
): Promise<bigint | undefined> {
  const attr = await tx.attr(ino);
  tx.unsustain(ino, sid);
  // Somebody gave it a name again, which should not be: then it is no longer ours to remove.
  if (attr === undefined || attr.nlink > 0) return undefined;
  eraseInode(tx, ino, attr);
  return attr.length;
}
