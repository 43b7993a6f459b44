import type { SliceRecord } from '../../block/slice-record.ts';
import type { Attr } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import type { ErrnoName } from '../../posix/errno.ts';
import type { AclRule } from '../acl.ts';
import type { DirEntry, DirQuota, Entry, MetaErrorCode, VolumeUsage } from '../engine.ts';
import type {
  DelayedName,
  DirStats,
  IdCounter,
  OwnerKind,
  SliceSize,
  TxContext,
} from '../write/meta-tx.ts';
import type {
  DeletedFile,
  DirQuotaAt,
  OwnerQuotaAt,
  StoredChunk,
  VolumeCounters,
} from '../write/scans.ts';
import type { Transacted } from '../write/transactions.ts';
import type { WriteOp } from '../write/write-ops.ts';

/** A page of names as the worker gives it. */
export interface StoredPage {
  readonly entries: DirEntry[];
  /** The name to go on behind, undefined after the last page. */
  readonly last: Uint8Array | undefined;
}

/** A session as the worker gives it. */
export interface StoredSession {
  readonly sid: bigint;
  /** Unix seconds. */
  readonly expire: bigint;
  readonly info: Uint8Array | undefined;
}

/** What the worker thread can be asked: all arguments and results can be cloned between threads. */
export interface SqliteOps {
  /** Throws `no-volume`. */
  checkVolume(): void;
  loadSetting(): Uint8Array;
  lookup(parent: Ino, name: Uint8Array): Entry | undefined;
  getattrs(inos: readonly Ino[]): (Attr | undefined)[];
  readdir(ino: Ino, after: Uint8Array | undefined, withAttrs: boolean): StoredPage;
  readlink(ino: Ino): Uint8Array | undefined;
  getxattr(ino: Ino, name: Uint8Array): Uint8Array | undefined;
  listxattr(ino: Ino): Uint8Array[];
  aclRule(id: number): AclRule | undefined;
  readChunk(ino: Ino, index: number): SliceRecord[];
  readFirstChunks(inos: readonly Ino[]): (SliceRecord[] | undefined)[];
  parents(ino: Ino): Ino[];
  usage(): VolumeUsage;
  dirQuota(ino: Ino): DirQuota | undefined;
  openSession(expire: number, info: Uint8Array): bigint;
  refreshSession(sid: bigint, expire: number, info: Uint8Array): void;
  closeSession(sid: bigint): void;
  listSessions(): StoredSession[];
  transact(request: TransactRequest): Promise<Transacted<unknown> | AskOpen>;
  deletedFiles(before: number, limit: number): DeletedFile[];
  chunkIndexes(ino: Ino): number[];
  unusedSlices(limit: number): SliceSize[];
  delayedSlices(before: number, limit: number): DelayedName[];
  staleSessions(now: number, limit: number): bigint[];
  sustained(sid: bigint): Ino[];
  /** Behind a row, some at a time. */
  chunksAfter(row: bigint, limit: number): (StoredChunk & { readonly row: bigint })[];
  waitingSlices(): SliceSize[];
  dirQuotas(): DirQuotaAt[];
  ownerQuotas(kind: OwnerKind): OwnerQuotaAt[];
  counters(): VolumeCounters;
  dropLocks(sid: bigint): void;
  /** The first of `count` ids. */
  takeIds(counter: IdCounter, count: number): bigint;
  putDirStats(dir: Ino, stats: DirStats): void;
  hasDirQuotas(): boolean;
  /** Throws `incompatible`. */
  checkWritable(): void;
}

/** What the main thread knows of open inodes. */
export interface OpenState {
  /** All of them; undefined when they are too many to be sent along. */
  readonly all: ReadonlySet<Ino> | undefined;
  /** Answers to {@link AskOpen}. */
  readonly answers: ReadonlyMap<Ino, boolean>;
}

/** A transaction for the worker. */
export interface TransactRequest {
  readonly op: WriteOp;
  readonly args: unknown;
  readonly context: TxContext;
  readonly open: OpenState;
}

/** The transaction was undone: whether this inode is open decides what it does. */
export interface AskOpen {
  readonly ask: Ino;
}

/** Name of an operation. */
export type SqliteOp = keyof SqliteOps;

/** What a worker is started with. */
export interface SqliteWorkerData {
  readonly path: string;
  readonly tablePrefix: string;
}

/** To the worker; `close` makes it close the database and end. */
export type SqliteRequest =
  | { readonly id: number; readonly op: SqliteOp; readonly args: readonly unknown[] }
  | { readonly close: true };

/** From the worker: what became of a request. */
export type SqliteReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SqliteFailure };

/** An error in a form that can be cloned. */
export interface SqliteFailure {
  /** Of a MetaError, or of an FsError. */
  readonly code: MetaErrorCode | ErrnoName;
  readonly isOutcome: boolean;
  readonly message: string;
  readonly retryable: boolean;
}
