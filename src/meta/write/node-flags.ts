import type { Attr } from '../../posix/attr.ts';

const IMMUTABLE = 1;
const APPEND_ONLY = 2;

/** Nothing below it, or of it, goes to the trash; new children inherit it. */
export const SKIP_TRASH = 32;

/** @see FS_IMMUTABLE_FL of ioctl_iflags(2) */
export function isImmutable({ flags }: Pick<Attr, 'flags'>): boolean {
  return (flags & IMMUTABLE) !== 0;
}

/** @see FS_APPEND_FL of ioctl_iflags(2) */
export function isAppendOnly({ flags }: Pick<Attr, 'flags'>): boolean {
  return (flags & APPEND_ONLY) !== 0;
}

/** Immutable or append-only: neither removed, renamed nor linked. */
export function isPinned(attr: Pick<Attr, 'flags'>): boolean {
  return isImmutable(attr) || isAppendOnly(attr);
}
