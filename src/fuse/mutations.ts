import type { FileType, Timespec } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';
import type { AttrReply, EntryReply, FuseContext, OpenReply } from './operations.ts';

/** A name in a directory. */
export interface NameIn {
  readonly parent: Ino;
  readonly name: Uint8Array;
}

/** What to change of an attribute; what is absent stays. */
export interface AttrChanges {
  /** 0 … 0o7777. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: bigint;
  readonly atime?: Timespec | 'now';
  readonly mtime?: Timespec | 'now';
  /** The open file by which it is done. */
  readonly fh?: bigint;
}

/** What MKNOD makes. */
export interface NodeRequest {
  readonly type: FileType;
  /** 0 … 0o7777. */
  readonly mode: number;
  readonly umask: number;
  readonly rdev: number;
}

/** A file that was made and opened. */
export interface CreateReply {
  readonly entry: EntryReply;
  readonly opened: OpenReply;
}

/** A lock as the kernel asks for it. */
export interface LockRequest {
  readonly owner: bigint;
  /** First byte. */
  readonly start: bigint;
  /** Last byte, inclusive; 2^63 − 1 is the end of the file. */
  readonly end: bigint;
  readonly type: 'read' | 'write' | 'unlock';
  readonly pid: number;
}

/** A part of an open file. */
export interface OpenRange {
  readonly ino: Ino;
  readonly fh: bigint;
  readonly offset: bigint;
}

/**
 * What changes a file system. Every method throws FsError only, and resolves when what the system
 * call promises is true.
 */
export interface FuseMutations {
  create(
    context: FuseContext,
    at: NameIn,
    how: { flags: number; mode: number; umask: number },
  ): Promise<CreateReply>;
  mknod(context: FuseContext, at: NameIn, node: NodeRequest): Promise<EntryReply>;
  mkdir(
    context: FuseContext,
    at: NameIn,
    how: { mode: number; umask: number },
  ): Promise<EntryReply>;
  symlink(context: FuseContext, at: NameIn, target: Uint8Array): Promise<EntryReply>;
  link(context: FuseContext, ino: Ino, at: NameIn): Promise<EntryReply>;
  unlink(context: FuseContext, at: NameIn): Promise<void>;
  rmdir(context: FuseContext, at: NameIn): Promise<void>;
  /** @param flags - RENAME_NOREPLACE 1, RENAME_EXCHANGE 2, RENAME_WHITEOUT 4 */
  rename(context: FuseContext, from: NameIn, to: NameIn, flags: number): Promise<void>;
  setattr(context: FuseContext, ino: Ino, changes: AttrChanges): Promise<AttrReply>;
  /** @param how - XATTR_CREATE: `create`, XATTR_REPLACE: `replace` */
  setxattr(
    context: FuseContext,
    ino: Ino,
    xattr: { name: Uint8Array; value: Uint8Array; how: 'any' | 'create' | 'replace' },
  ): Promise<void>;
  removexattr(context: FuseContext, ino: Ino, name: Uint8Array): Promise<void>;
  /** @param range - `mode`: FALLOC_FL_* */
  fallocate(
    context: FuseContext,
    at: OpenRange,
    range: { mode: number; length: bigint },
  ): Promise<void>;
  /** @returns bytes copied */
  copyFileRange(
    context: FuseContext,
    from: OpenRange,
    to: OpenRange,
    length: bigint,
  ): Promise<number>;
  /** A descriptor of the file was closed, others may be left. Gives back the owner's fcntl locks. */
  flush(context: FuseContext, ino: Ino, fh: bigint, lockOwner: bigint): Promise<void>;
  fsync(context: FuseContext, ino: Ino, fh: bigint): Promise<void>;
  fsyncdir(context: FuseContext, ino: Ino, fh: bigint): Promise<void>;
  /** @returns a lock of somebody else that is in the way */
  getlk(context: FuseContext, ino: Ino, lock: LockRequest): Promise<LockRequest | undefined>;
  /** fcntl(2). @throws FsError EAGAIN when it is held and not to be waited for */
  setlk(
    context: FuseContext,
    ino: Ino,
    lock: LockRequest,
    options: { wait: boolean },
  ): Promise<void>;
  /** flock(2). @throws FsError EAGAIN when it is held and not to be waited for */
  flock(
    context: FuseContext,
    file: { ino: Ino; fh: bigint; owner: bigint },
    type: LockRequest['type'],
    options: { wait: boolean },
  ): Promise<void>;
  /** The last descriptor of an open file description that held a flock is gone. */
  releaseFlock(ino: Ino, fh: bigint, owner: bigint): void;
}
