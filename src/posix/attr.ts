import type { Ino } from './ino.ts';

/** File types, with the numbers that JuiceFS stores. */
export const FileType = {
  file: 1,
  directory: 2,
  symlink: 3,
  fifo: 4,
  blockDevice: 5,
  charDevice: 6,
  socket: 7,
} as const;

/** One of {@link FileType}. */
export type FileType = (typeof FileType)[keyof typeof FileType];

/** `S_IF*` bits by {@link FileType}. @see linux/stat.h */
const FORMAT_BITS: Readonly<Record<FileType, number>> = {
  [FileType.file]: 0o100000,
  [FileType.directory]: 0o040000,
  [FileType.symlink]: 0o120000,
  [FileType.fifo]: 0o010000,
  [FileType.blockDevice]: 0o060000,
  [FileType.charDevice]: 0o020000,
  [FileType.socket]: 0o140000,
};

/** A point in time: seconds since 1970 (may be negative) and 0 … 999,999,999 nanoseconds. */
export interface Timespec {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** The attribute of an inode. */
export interface Attr {
  readonly type: FileType;
  /** Permission bits including set-uid, set-gid and sticky: 0 … 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly atime: Timespec;
  readonly mtime: Timespec;
  readonly ctime: Timespec;
  readonly nlink: number;
  /** Bytes: file content, symlink target; 4096 for directories. */
  readonly length: bigint;
  readonly rdev: number;
  /** 0 when the inode has, or once had, several links. */
  readonly parent: Ino;
  /** JuiceFS flags: 1 immutable, 2 append-only, 32 skip trash. */
  readonly flags: number;
  /** ACL rule ids; 0 is none. */
  readonly accessAclId: number;
  readonly defaultAclId: number;
  /** Storage tier, 0 … 3. */
  readonly tier: number;
}

/** `st_mode`: permission and format bits. */
export function modeOf(attr: Pick<Attr, 'type' | 'mode'>): number {
  return FORMAT_BITS[attr.type] | attr.mode;
}

/** Whether two times are the same instant. */
export function sameTime(a: Timespec, b: Timespec): boolean {
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
}
