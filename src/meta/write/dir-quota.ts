import { FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { isTrashIno } from './entry-name.ts';
import type { MetaTx, Usage } from './meta-tx.ts';

/** Arguments of {@link setDirQuota}. */
export interface SetDirQuota {
  readonly dir: Ino;
  /** 0 is no limit; undefined leaves it as it is, which at first is none. */
  readonly maxBytes?: bigint | undefined;
  readonly maxInodes?: bigint | undefined;
  /** What is below the directory; undefined leaves what is stored, which at first is nothing. */
  readonly used?: Usage | undefined;
}

/** How other clients store that there is no limit. */
const NO_LIMIT = -1n;
const NOTHING: Usage = { space: 0n, inodes: 0n };

/** @returns whether there was none before */
export async function setDirQuota(
  tx: MetaTx,
  { dir, maxBytes, maxInodes, used }: SetDirQuota,
): Promise<boolean> {
  const [attr, present] = await Promise.all([tx.attr(dir), tx.dirQuota(dir)]);
  if (attr === undefined) throw new FsError('ENOENT');
  if (attr.type !== FileType.directory) throw new FsError('ENOTDIR');
  if (isTrashIno(dir)) throw new FsError('EPERM', 'the trash');
  const limits = {
    maxBytes: maxBytes ?? present?.maxBytes ?? NO_LIMIT,
    maxInodes: maxInodes ?? present?.maxInodes ?? NO_LIMIT,
  };
  const isNew = present === undefined;
  tx.putDirQuota(dir, limits, used ?? (isNew ? NOTHING : undefined));
  return isNew;
}

/** @returns whether there was one */
export async function removeDirQuota(tx: MetaTx, { dir }: { readonly dir: Ino }): Promise<boolean> {
  if ((await tx.dirQuota(dir)) === undefined) return false;
  tx.dropDirQuota(dir);
  return true;
}
