import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import type { MetaTx } from './meta-tx.ts';

/** Arguments of {@link setXattr}. */
export interface SetXattr {
  readonly ino: Ino;
  readonly name: Uint8Array;
  readonly value: Uint8Array;
  readonly how: 'any' | 'create' | 'replace';
}

/** @see AttrWriter.setxattr */
export async function setXattr(tx: MetaTx, { ino, name, value, how }: SetXattr): Promise<void> {
  // Other clients do not look, and leave values of inodes that are gone behind.
  const [attr, present] = await Promise.all([tx.attr(ino), tx.xattr(ino, name)]);
  if (attr === undefined) throw new FsError('ENOENT');
  if (how === 'create' && present !== undefined) throw new FsError('EEXIST');
  if (how === 'replace' && present === undefined) throw new FsError('ENODATA');
  tx.putXattr(ino, name, value);
}

/** @see AttrWriter.removexattr */
export async function removeXattr(
  tx: MetaTx,
  { ino, name }: { ino: Ino; name: Uint8Array },
): Promise<void> {
  if ((await tx.xattr(ino, name)) === undefined) throw new FsError('ENODATA');
  tx.removeXattr(ino, name);
}
