import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import type { LockType, RangeLock } from '../file-lock.ts';
import { isConflict, mergeRanges } from './merge-ranges.ts';
import type { LockHolder, MetaTx } from './meta-tx.ts';

/** Arguments of {@link setFlock}. */
export interface SetFlock {
  readonly ino: Ino;
  readonly holder: LockHolder;
  readonly type: LockType;
}

/** @see LockWriter.flock @throws FsError EAGAIN */
export async function setFlock(tx: MetaTx, { ino, holder, type }: SetFlock): Promise<void> {
  const held = await tx.flocks(ino);
  const others = held.filter((lock) => !isSame(lock, holder));
  if (type === 'unlock') {
    if (others.length < held.length) tx.putFlock(ino, holder, undefined, hasOthers(others, holder));
    return;
  }
  const blocks =
    type === 'write' ? others.length > 0 : others.some((lock) => lock.type === 'write');
  if (blocks) throw new FsError('EAGAIN');
  tx.putFlock(ino, holder, type, true);
}

/** Arguments of {@link setRangeLock} and {@link findRangeLock}. */
export interface RangeOf {
  readonly ino: Ino;
  readonly holder: LockHolder;
  readonly range: RangeLock;
}

/** @see LockWriter.setRangeLock @throws FsError EAGAIN */
export async function setRangeLock(tx: MetaTx, { ino, holder, range }: RangeOf): Promise<void> {
  const held = await tx.rangeLocks(ino);
  const own = held.find((lock) => isSame(lock, holder))?.ranges ?? [];
  const others = held.filter((lock) => !isSame(lock, holder));
  if (range.type === 'unlock' && own.length === 0) return;
  const blocks = others.some(({ ranges }) => ranges.some((lock) => isConflict(lock, range)));
  if (range.type !== 'unlock' && blocks) throw new FsError('EAGAIN');
  tx.putRangeLocks(ino, holder, mergeRanges(own, range), hasOthers(others, holder));
}

/** @see LockWriter.findRangeLock */
export async function findRangeLock(
  tx: MetaTx,
  { ino, holder, range }: RangeOf,
): Promise<RangeLock | undefined> {
  if (range.type === 'unlock') return undefined;
  for (const lock of await tx.rangeLocks(ino)) {
    if (isSame(lock, holder)) continue;
    const found = lock.ranges.find((held) => isConflict(held, range));
    // A process number means something on its own machine only.
    if (found !== undefined) return lock.sid === holder.sid ? found : { ...found, pid: 0 };
  }
  return undefined;
}

function isSame(a: LockHolder, b: LockHolder): boolean {
  return a.sid === b.sid && a.owner === b.owner;
}

function hasOthers(others: readonly LockHolder[], { sid }: LockHolder): boolean {
  return others.some((lock) => lock.sid === sid);
}
