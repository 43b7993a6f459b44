import type { SliceRecord } from '../block/slice-record.ts';
import type { Attr, FileType, Timespec } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';
import type { AclRule } from './acl.ts';
import type { Caller } from './caller.ts';
import type { Entry } from './engine.ts';
import type { LockType, RangeLock } from './file-lock.ts';
import type { SetAttr } from './set-attr.ts';

/** Who asks, and until when the answer is of use. */
export interface WriteCall {
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/** A name in a directory: raw bytes, 1 … 255, without `/` and NUL. */
export interface NameAt {
  readonly parent: Ino;
  readonly name: Uint8Array;
}

/** What to make. */
export interface NewNode {
  readonly type: FileType;
  /** Permission bits as asked for, 0 … 0o7777, before `umask`. */
  readonly mode: number;
  /** Not used where the directory has a default ACL. */
  readonly umask: number;
  /** Device number of device nodes; default 0. */
  readonly rdev?: number;
  /** Of a symlink: 1 … 4096 bytes without NUL. */
  readonly target?: Uint8Array;
}

/** What a file was made, or found, as. */
export interface Created extends Entry {
  /** False when the name existed and `exclusive` was not asked for. */
  readonly isNew: boolean;
}

/** What lost a name. */
export interface Unlinked {
  readonly ino: Ino;
  /**
   * As it is afterwards. With `nlink` 0 it is open here and lives until {@link OpenInodes.closed}.
   * Undefined when it is gone, or was missing already.
   */
  readonly attr: Attr | undefined;
}

/** What rename(2) did. */
export interface Renamed {
  /** What has the new name now. Undefined when nothing was to be done. */
  readonly moved: Entry | undefined;
  /** What had the new name before; with `exchange` it has the old one now. */
  readonly replaced: Unlinked | undefined;
}

/** How a tree is copied. */
export interface CloneOptions {
  /** Owner, mode and times stay as they are; else they are those of something new. */
  readonly preserve: boolean;
  /** Bits that modes lose; without `preserve`. */
  readonly umask: number;
  /** Called for each inode that was copied. */
  readonly onCopied?: () => void;
}

/** How rename(2) treats an existing name; the two exclude each other. */
export interface RenameFlags {
  /** An existing name is EEXIST. */
  readonly noReplace?: boolean;
  /** Both names must exist and swap what they name. */
  readonly exchange?: boolean;
  /** Out of the trash, by root, together with `noReplace`: an hourly directory may be the source. */
  readonly restore?: boolean;
}

/**
 * Operations on names. Besides what each lists, all of them throw FsError
 *  - ENOENT: the directory, or the name, is not there; the directory is in the trash
 *  - ENOTDIR: the parent is no directory
 *  - EACCES: `checkPerm`, and no write and search permission; a sticky directory (whoever checks)
 *  - EPERM: immutable or append-only (the parent or the inode); `.trash`, the trash, special inodes
 *  - ENOSPC, EDQUOT: a limit of the volume, of a directory tree, of a user or a group
 *
 * and MetaError when the engine fails (`outcome-unknown`: it may or may not have been done).
 */
export interface NameWriter {
  /** @throws FsError EEXIST, EINVAL (type, name, target), ENAMETOOLONG */
  mknod(at: NameAt, node: NewNode, call: WriteCall): Promise<Entry>;
  /**
   * Makes a regular file and counts it as open, see {@link OpenInodes.opened}.
   *
   * @throws FsError EEXIST (`exclusive`, or the name is no regular file), EINVAL, ENAMETOOLONG
   */
  create(
    at: NameAt,
    file: { readonly mode: number; readonly umask: number; readonly exclusive: boolean },
    call: WriteCall,
  ): Promise<Created>;
  /**
   * One more name for an inode that is no directory.
   *
   * @returns the inode's attribute
   * @throws FsError EEXIST, EPERM (a directory), EINVAL, ENAMETOOLONG
   */
  link(ino: Ino, at: NameAt, call: WriteCall): Promise<Attr>;
  /**
   * Takes a name away from what is no directory; it goes to the trash when the volume has one.
   *
   * @param options - `skipTrash`: for good
   * @throws FsError EPERM (a directory)
   */
  unlink(at: NameAt, call: WriteCall, options?: { skipTrash?: boolean }): Promise<Unlinked>;
  /** @throws FsError ENOTEMPTY (also for `..`), EINVAL (`.`) */
  rmdir(at: NameAt, call: WriteCall, options?: { skipTrash?: boolean }): Promise<Unlinked>;
  /**
   * @throws FsError EEXIST, ENOTEMPTY, EISDIR, EINVAL (flags, name, or a directory that would move
   *   below itself)
   */
  rename(from: NameAt, to: NameAt, flags: RenameFlags, call: WriteCall): Promise<Renamed>;
  /**
   * Copies a tree without its data: files share their slices with the source's. A directory gets its
   * name when all that is in it is there; what is removed meanwhile may be missing, a hard link
   * becomes a file of its own.
   *
   * @throws FsError EEXIST, EPERM (out of the trash); nothing is left then. The signal's reason
   */
  clone(source: Ino, at: NameAt, options: CloneOptions, call: WriteCall): Promise<void>;
}

/** Operations on what is stored for one inode. All throw FsError ENOENT and MetaError. */
export interface AttrWriter {
  /**
   * Changes what `set` names; the size is changed by {@link DataWriter.truncate}.
   *
   * @returns the attribute afterwards
   * @throws FsError EPERM (not the owner, immutable, in the trash), EACCES (times)
   */
  setattr(ino: Ino, set: SetAttr, call: WriteCall): Promise<Attr>;
  /**
   * @param xattr - name 1 … 255 bytes, value up to 65,536; `how`: whether it must be new or there
   * @throws FsError EEXIST (`create`), ENODATA (`replace`), EINVAL, ERANGE
   */
  setxattr(
    ino: Ino,
    xattr: { name: Uint8Array; value: Uint8Array; how: 'any' | 'create' | 'replace' },
    call: WriteCall,
  ): Promise<void>;
  /** @throws FsError ENODATA */
  removexattr(ino: Ino, name: Uint8Array, call: WriteCall): Promise<void>;
  /**
   * Gives an inode an ACL; `undefined` takes it away.
   *
   * @returns the attribute afterwards: an access ACL changes the mode
   * @throws FsError EPERM (not the owner, immutable), EOPNOTSUPP (the volume has ACLs switched off)
   */
  setAcl(
    ino: Ino,
    acl: { kind: 'access' | 'default'; rule: AclRule | undefined },
    call: WriteCall,
  ): Promise<Attr>;
}

/** A part of a file that lies in the object store and is to become visible. */
export interface SliceCommit {
  /** Chunk of the file, 0 … 2^31 − 1. */
  readonly index: number;
  /** Where in the chunk, and which slice; `off` is 0 and `len` is `size`. */
  readonly record: SliceRecord;
}

/** What {@link DataWriter.commitSlices} gives. */
export interface Committed {
  readonly attr: Attr;
  /** Records that each chunk has now, in the order of the commits: what compaction goes by. */
  readonly recordCounts: readonly number[];
}

/** A range for {@link DataWriter.copyFileRange}. */
export interface CopyRange {
  readonly from: { readonly ino: Ino; readonly offset: bigint };
  readonly to: { readonly ino: Ino; readonly offset: bigint };
  readonly length: bigint;
}

/** How fallocate(2) treats the range. */
export interface AllocateMode {
  /** The file does not grow. */
  readonly keepSize: boolean;
  /** `allocate` changes no byte; `zero` and `punch` (with `keepSize`) make all of them 0. */
  readonly how: 'allocate' | 'zero' | 'punch';
}

/**
 * Operations on the content of regular files. All throw FsError ENOENT, EPERM (not a regular file),
 * EFBIG (beyond 2^57), ENOSPC and EDQUOT, and MetaError.
 */
export interface DataWriter {
  /** The next slice id, which nobody else has or will have. Rarely asks the engine. */
  newSliceId(signal: AbortSignal): Promise<bigint>;
  /**
   * Makes slices of one file visible, all or none, in the order given. All their blocks must be in
   * the object store. A record of id 0 is a hole. Whether that may be repeated after MetaError
   * `outcome-unknown` is for the caller to find out, by reading the chunk: the id is unique.
   *
   * @param mtime - when the last byte was written
   * @throws FsError ENOENT: the file is gone, and the slices' objects are to be removed
   */
  commitSlices(
    ino: Ino,
    commits: readonly SliceCommit[],
    mtime: Timespec,
    call: WriteCall,
  ): Promise<Committed>;
  /**
   * Sets the length. What is cut off is gone; what is added reads as 0. The same length changes
   * nothing, not even times.
   *
   * @param options - `byHandle`: by a file opened for writing, whose permissions were checked then
   * @throws FsError EACCES, EINVAL
   */
  truncate(
    ino: Ino,
    length: bigint,
    call: WriteCall,
    options?: { byHandle?: boolean },
  ): Promise<Attr>;
  /**
   * @returns the attribute afterwards
   * @throws FsError EACCES, EINVAL (an empty range; `punch` without `keepSize`), EPIPE (a fifo)
   */
  fallocate(
    ino: Ino,
    range: { mode: AllocateMode; offset: bigint; length: bigint },
    call: WriteCall,
  ): Promise<Attr>;
  /**
   * Lets the target share slices with the source. Both must have no unwritten data.
   *
   * @returns bytes copied, fewer than asked for at the source's end, and the target's attribute
   * @throws FsError EINVAL (no regular file; ranges of one file that overlap)
   */
  copyFileRange(range: CopyRange, call: WriteCall): Promise<{ copied: bigint; attr: Attr }>;
}

/**
 * Which inodes are open here, so that an unlinked one lives until its last close. Needs a session:
 * without one an unlinked file is gone at once.
 */
export interface OpenInodes {
  /** One more handle. Call it before the open is answered. */
  opened(ino: Ino): void;
  /** One handle less; after the last one an unlinked inode is removed. @throws MetaError */
  closed(ino: Ino, signal: AbortSignal): Promise<void>;
}

/**
 * Locks of files, which all clients of the volume see. Need a session. A waiting call polls, and
 * ends with the signal's reason when that is aborted. Every call throws MetaError, and FsError
 * ENOLCK without a session.
 */
export interface LockWriter {
  /**
   * flock(2).
   *
   * @param owner - one number per open file description, unique on this mount
   * @throws FsError EAGAIN: held by others, and not to be waited for
   */
  flock(
    ino: Ino,
    lock: { owner: bigint; type: LockType; wait: boolean },
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * fcntl(2) F_SETLK and F_SETLKW; type `unlock` gives back.
   *
   * @throws FsError EAGAIN
   */
  setRangeLock(
    ino: Ino,
    lock: { owner: bigint; range: RangeLock; wait: boolean },
    signal: AbortSignal,
  ): Promise<void>;
  /** fcntl(2) F_GETLK: a lock of somebody else that is in the way, if there is one. */
  findRangeLock(
    ino: Ino,
    lock: { owner: bigint; range: RangeLock },
    signal: AbortSignal,
  ): Promise<RangeLock | undefined>;
}

/**
 * Write access to a volume: the same changes, under the same transaction rules, as every other
 * client of the volume makes, so that counters, statistics and quotas stay exact.
 *
 * A call that throws FsError has changed nothing. `caller` and special names are checked here;
 * virtual files of the mount are the VFS's own. Abort ends waits, but no transaction that is being
 * committed: its outcome is told.
 */
export interface MetaWriter extends NameWriter, AttrWriter, DataWriter, OpenInodes, LockWriter {
  /**
   * Reads the setting and the list of quotas again; call it at every heartbeat.
   *
   * @throws MetaError `no-volume`, `incompatible` (also: another volume, or one that keeps a change
   *   log now): stop writing
   */
  refresh(signal: AbortSignal): Promise<void>;
}
