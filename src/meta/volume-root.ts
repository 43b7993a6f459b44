import { type Attr, FileType, type Timespec } from '../posix/attr.ts';
import { ROOT_INO } from '../posix/ino.ts';

/** Modes of the two directories that a volume begins with. */
export const ROOT_MODE = 0o777;
/** Nobody makes names in the trash. */
export const TRASH_MODE = 0o555;

/** Attributes of the root or of the trash in a new volume, as original clients make them. */
export function firstDirectory(mode: number, now: Timespec): Attr {
  return {
    ...{ type: FileType.directory, mode, uid: 0, gid: 0, atime: now, mtime: now, ctime: now },
    ...{ nlink: 2, length: 4096n, rdev: 0, parent: ROOT_INO, flags: 0 },
    ...{ accessAclId: 0, defaultAclId: 0, tier: 0 },
  };
}
