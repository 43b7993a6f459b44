import type { Attr, FileType } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';

/** Who asks. `signal` is aborted when the kernel interrupts the request or the mount ends. */
export interface FuseContext {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly signal: AbortSignal;
}

/** An inode that was found. Time-outs say how long the kernel may believe it. */
export interface EntryReply {
  readonly ino: Ino;
  readonly attr: Attr;
  readonly entryTimeoutMs: number;
  readonly attrTimeoutMs: number;
}

/** A name that is not there; the kernel remembers it for `entryTimeoutMs` (0: not at all). */
export interface NegativeReply {
  readonly ino: undefined;
  readonly entryTimeoutMs: number;
}

/** An inode's attribute. */
export interface AttrReply {
  readonly attr: Attr;
  readonly attrTimeoutMs: number;
}

/** An open file or directory. */
export interface OpenReply {
  /** {@link fileHandle}: worker threads find cached data by its upper half. */
  readonly fh: bigint;
  /** The kernel's pages of an earlier open are still right. */
  readonly keepCache: boolean;
  /** Bypass the kernel's page cache. */
  readonly directIo: boolean;
  /** Directories: the kernel may keep the listing. */
  readonly cacheDir: boolean;
  /**
   * The kernel reads the file by itself from this one ({@link BackingFiles}). With `directIo` reads
   * come to us all the same, and only maps are of the backing file.
   */
  readonly backingId?: number | undefined;
}

/** Bytes of a file, in order; shorter than asked only at the end of the file. */
export interface ReadReply {
  readonly parts: readonly Uint8Array[];
  /** Called exactly once, when the bytes were handed to the kernel. */
  release(): void;
}

/** Bytes for a file. */
export interface NewBytes {
  /** In bytes, 0 … 2^53 − 1; where the kernel believes the end to be when it appends. */
  readonly offset: number;
  /** The callee's to keep. */
  readonly bytes: Uint8Array;
  /** Pages of a mapped file, not write(2). */
  readonly isCache: boolean;
  /** Flags of open(2) that the descriptor has by now: fcntl(2) changes some. */
  readonly flags: number;
}

/** One name of a listing. */
export interface DirEntryReply {
  readonly name: Uint8Array;
  readonly ino: Ino;
  readonly type: FileType;
  /** Cookie with which the listing goes on behind this entry; > 0. */
  readonly nextOffset: bigint;
  /** Only for READDIRPLUS; undefined makes the kernel look the name up by itself. */
  readonly entry: EntryReply | undefined;
}

/** Numbers of a file system. @see statvfs(3) */
export interface StatfsReply {
  readonly blockBytes: number;
  readonly blocks: bigint;
  readonly blocksFree: bigint;
  readonly files: bigint;
  readonly filesFree: bigint;
  readonly nameBytesMax: number;
}

/**
 * A file system by inode numbers, as the kernel asks for it. Drivers call it, the vfs implements it.
 *
 * Every method throws FsError only.
 */
export interface FuseOperations {
  lookup(context: FuseContext, parent: Ino, name: Uint8Array): Promise<EntryReply | NegativeReply>;
  /** The kernel has dropped `count` of its references to an inode. */
  forget(ino: Ino, count: bigint): void;
  getattr(context: FuseContext, ino: Ino): Promise<AttrReply>;
  readlink(context: FuseContext, ino: Ino): Promise<Uint8Array>;
  /** Whether an inode may be opened for writing. */
  isWritable(ino: Ino): boolean;
  /** @param flags - open(2) flags without O_CREAT, O_EXCL, O_NOCTTY */
  open(context: FuseContext, ino: Ino, flags: number): Promise<OpenReply>;
  /** @param offset - bytes, 0 … 2^53 − 1 */
  read(
    context: FuseContext,
    ino: Ino,
    fh: bigint,
    range: { offset: number; length: number },
  ): Promise<ReadReply>;
  /**
   * Writes to a handle that was opened for writing.
   *
   * @returns how many bytes were taken
   */
  write(context: FuseContext, ino: Ino, fh: bigint, data: NewBytes): Promise<number>;
  /**
   * A worker thread has answered a read from an extent that was published with `notify`.
   * Called at most once per publication; drives read-ahead.
   */
  touched(fh: bigint, offset: number): void;
  /** @param options - `taken`: the kernel has had the handle; it has unless told otherwise */
  release(fh: bigint, options?: { readonly taken: boolean }): void;
  opendir(context: FuseContext, ino: Ino): Promise<OpenReply>;
  /**
   * Calls `add` for entries from `offset` (0: the beginning) until it returns false or the listing ends.
   *
   * @param plus - with attributes
   */
  readdir(
    context: FuseContext,
    ino: Ino,
    fh: bigint,
    options: { offset: bigint; plus: boolean },
    add: (entry: DirEntryReply) => boolean,
  ): Promise<void>;
  releasedir(fh: bigint): void;
  statfs(context: FuseContext, ino: Ino): Promise<StatfsReply>;
  /** @returns the value; throws ENODATA when there is none */
  getxattr(context: FuseContext, ino: Ino, name: Uint8Array): Promise<Uint8Array>;
  listxattr(context: FuseContext, ino: Ino): Promise<readonly Uint8Array[]>;
  /** SEEK_DATA and SEEK_HOLE. @throws ENXIO behind the end */
  lseek(
    context: FuseContext,
    ino: Ino,
    fh: bigint,
    request: { offset: number; whence: 'data' | 'hole' },
  ): Promise<number>;
}

/** @param fileId - names the content version, 1 … 2^32 − 1; 0 keeps worker threads out */
export function fileHandle(fileId: number, handle: number): bigint {
  return (BigInt(fileId) << 32n) | BigInt(handle);
}

/** The handle number of a file handle. */
export function handleOf(fh: bigint): number {
  return Number(fh & 0xffff_ffffn);
}

/** The content version of a file handle. */
export function fileIdOf(fh: bigint): number {
  return Number(fh >> 32n);
}
