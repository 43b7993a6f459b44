import type { SliceRecord } from '../../block/slice-record.ts';
import type { Attr } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import type { AclRule } from '../acl.ts';
import type { DirEntry, DirQuota, Entry, MetaErrorCode, VolumeUsage } from '../engine.ts';

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
  parents(ino: Ino): Ino[];
  usage(): VolumeUsage;
  dirQuota(ino: Ino): DirQuota | undefined;
  openSession(expire: number, info: Uint8Array): bigint;
  refreshSession(sid: bigint, expire: number, info: Uint8Array): void;
  closeSession(sid: bigint): void;
  listSessions(): StoredSession[];
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
  readonly code: MetaErrorCode;
  readonly message: string;
  readonly retryable: boolean;
}
