import type { Attr, Timespec } from '../../posix/attr.ts';
import type { MetaTx } from './meta-tx.ts';

/** The attribute with mtime and ctime set to a time. */
export function touch(attr: Attr, now: Timespec): Attr {
  return { ...attr, mtime: now, ctime: now };
}

/**
 * A directory that got or lost a name of something else than a directory.
 *
 * @returns undefined when it was touched so shortly before that it is left alone
 */
export function touchForName(tx: Pick<MetaTx, 'rules' | 'now'>, dir: Attr): Attr | undefined {
  const ageMs = msOf(tx.now) - msOf(dir.mtime);
  return ageMs >= tx.rules.skipDirMtimeMs ? touch(dir, tx.now) : undefined;
}

function msOf({ seconds, nanoseconds }: Timespec): number {
  return seconds * 1000 + nanoseconds / 1e6;
}
