import type { Difference } from './script.ts';

const ATIME =
  'reading changes nothing, as stock clients have it by default (`--atime-mode noatime`)';
const RANGES = 'the volume format has no operation that moves what follows in a file';
const NO_DIRECTORY = 'a directory that is gone is not kept for those who have it open';
const ONLY_PRESENT = 'stock clients take a time before 1970 for the present';
const XATTR_TIME = 'extended attributes are no part of the inode’s record, as with stock clients';
const XATTR_NAMES = 'any name is kept, as stock clients do; the kernel checks none on FUSE';
const SET_GID = 'the kernel leaves set-gid without group execution alone on FUSE';
const BITS = 'POSIX: chown by the owner takes both bits from a file that somebody may run';

/** What our mounts answer differently from ext4 and the tables, and why. */
export const OURS: readonly Difference[] = [
  {
    at: 'open: updates atime by a read that follows a change',
    ...{ line: 'changed f', outcome: 'none', why: ATIME },
  },
  {
    at: 'fallocate: collapses and inserts ranges',
    ...{ line: 'fallocate %a collapse 0 4096', outcome: 'ENOTSUP', why: RANGES },
  },
  {
    at: 'fallocate: collapses and inserts ranges',
    ...{ line: 'fallocate %a insert 0 4096', outcome: 'ENOTSUP', why: RANGES },
  },
  {
    at: 'fallocate: collapses and inserts ranges',
    ...{ line: 'stat f size', outcome: '12288', why: RANGES },
  },
  {
    at: 'rmdir: a directory that is open is empty when it is gone',
    ...{ line: 'lstat %a nlink', outcome: 'ENOENT', why: NO_DIRECTORY },
  },
  {
    at: 'utimensat: times before 1970',
    ...{ line: 'changed f', outcome: 'atime,mtime,ctime', why: ONLY_PRESENT },
  },
  {
    at: 'xattr: changes the ctime',
    ...{ line: 'changed f', outcome: 'none', why: XATTR_TIME },
  },
  {
    at: 'xattr: takes names that Linux knows',
    ...{ line: 'setxattr f user. x', outcome: 'ok', why: XATTR_NAMES },
  },
  {
    at: 'xattr: takes names that Linux knows',
    ...{ line: 'setxattr f nowhere.a x', outcome: 'ok', why: XATTR_NAMES },
  },
  {
    at: 'write: by a stranger takes set-gid without execution away',
    ...{ line: 'stat f mode', outcome: '2767', why: SET_GID },
  },
  {
    at: 'chown: leaves set-gid without group execution to its members',
    ...{ line: 'stat f mode', outcome: '745', why: BITS },
  },
];

/** What this ext4 does not do as the tables say. */
export const EXT4: readonly Difference[] = [];
