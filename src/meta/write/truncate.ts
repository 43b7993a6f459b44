import { type Attr, FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Caller } from '../caller.ts';
import { isTrashed } from './entry-name.ts';
import { chargeLength } from './growth.ts';
import type { MetaTx } from './meta-tx.ts';
import { isPinned } from './node-flags.ts';
import { Access, checkAccess } from './permissions.ts';
import { touch } from './touch.ts';
import { appendTruncation } from './zero-records.ts';

/** Arguments of {@link truncateFile}. */
export interface TruncateFile {
  readonly ino: Ino;
  readonly length: bigint;
  readonly byHandle: boolean;
  readonly caller: Caller;
}

/** @see DataWriter.truncate */
export async function truncateFile(tx: MetaTx, args: TruncateFile): Promise<Attr> {
  const { ino, length, byHandle, caller } = args;
  const attr = await tx.attr(ino);
  if (attr === undefined) throw new FsError('ENOENT');
  const isForbidden = isPinned(attr) || (!byHandle && isTrashed(attr));
  if (attr.type !== FileType.file || isForbidden) throw new FsError('EPERM');
  if (!byHandle) await checkAccess(tx, caller, attr, Access.write);
  if (attr.length !== length) {
    await chargeLength(tx, ino, attr, length);
    const [left, right] = length < attr.length ? [length, attr.length] : [attr.length, length];
    await appendTruncation(tx, ino, left, right);
  }
  // The times change also when the length does not, as POSIX has it and stock clients do not.
  const changed = { ...touch(attr, tx.now), length };
  tx.updateNode(ino, changed);
  return changed;
}
