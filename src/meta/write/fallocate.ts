import { type Attr, FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Caller } from '../caller.ts';
import type { AllocateMode } from '../writer.ts';
import { chargeLength } from './growth.ts';
import type { MetaTx } from './meta-tx.ts';
import { isAppendOnly, isImmutable } from './node-flags.ts';
import { Access, checkAccess } from './permissions.ts';
import { touch } from './touch.ts';
import { appendZeros } from './zero-records.ts';

/** Arguments of {@link allocateRange}. */
export interface AllocateRange {
  readonly ino: Ino;
  readonly mode: AllocateMode;
  readonly offset: bigint;
  readonly length: bigint;
  readonly caller: Caller;
}

/** @see DataWriter.fallocate */
export async function allocateRange(tx: MetaTx, args: AllocateRange): Promise<Attr> {
  const { ino, mode, offset, caller } = args;
  const attr = await tx.attr(ino);
  if (attr === undefined) throw new FsError('ENOENT');
  if (attr.type === FileType.fifo) throw new FsError('EPIPE');
  if (attr.type !== FileType.file || isImmutable(attr)) throw new FsError('EPERM');
  await checkAccess(tx, caller, attr, Access.write);
  if (isAppendOnly(attr) && mode.how !== 'allocate') throw new FsError('EPERM');
  const end = offset + args.length;
  const length = end > attr.length && !mode.keepSize ? end : attr.length;
  await chargeLength(tx, ino, attr, length);
  const zerosEnd = end < attr.length ? end : attr.length;
  if (mode.how !== 'allocate') appendZeros(tx, ino, offset, zerosEnd);
  const changed = { ...touch(attr, tx.now), length };
  tx.updateNode(ino, changed);
  return changed;
}
