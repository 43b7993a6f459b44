import type { SliceRecord } from '../block/slice-record.ts';
import type { Attr, FileType } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';
import { CodedError } from '../runtime/coded-error.ts';
import type { Startable } from '../runtime/startable.ts';
import type { AclRule } from './acl.ts';
import type { ChangeStream } from './change-stream.ts';
import type { DirectReads } from './direct-reads.ts';
import type { SessionInfo, SessionRecord } from './session.ts';
import type { VolumeSetting } from './setting.ts';

/**
 * Why a metadata engine failed.
 * `unavailable`: no answer within the deadline; `corrupt`: a value that cannot be decoded;
 * `no-volume`: the database holds no volume; `incompatible`: a volume that we must not touch;
 * `bad-url`, `bad-setting`: what the user or the volume says is wrong; `refused`: the server said no;
 * `outcome-unknown`: a change may or may not have been made.
 */
export type MetaErrorCode =
  | 'unavailable'
  | 'corrupt'
  | 'no-volume'
  | 'incompatible'
  | 'bad-url'
  | 'bad-setting'
  | 'refused'
  | 'outcome-unknown';

/** A metadata engine could not answer. */
export class MetaError extends CodedError<MetaErrorCode> {}

/** What a look-up finds. */
export interface Entry {
  readonly ino: Ino;
  readonly attr: Attr;
}

/** One name in a directory. `attr` is there when it was asked for and the inode exists. */
export interface DirEntry {
  readonly name: Uint8Array;
  readonly ino: Ino;
  readonly type: FileType;
  readonly attr: Attr | undefined;
}

/** A part of a listing. */
export interface DirPage {
  readonly entries: readonly DirEntry[];
  /** Hand this in to get the next page; undefined after the last one. */
  readonly next: DirCursor | undefined;
}

/** An engine's own bookmark in a listing. */
export type DirCursor = string & { readonly __brand: 'DirCursor' };

/** What the volume holds, as its counters say. */
export interface VolumeUsage {
  readonly usedBytes: bigint;
  readonly inodes: bigint;
}

/** Limits of a directory tree; 0 or less is no limit. */
export interface DirQuota {
  readonly maxBytes: bigint;
  readonly maxInodes: bigint;
  readonly usedBytes: bigint;
  readonly usedInodes: bigint;
}

/**
 * Read access to the names and slice lists of a volume. Absence is `undefined`.
 *
 * Every call is retried inside the engine while the server is away, within the engine's deadline,
 * and then throws {@link MetaError}; an aborted signal ends it at once. After an outage the same
 * engine works again without being restarted.
 */
export interface MetaReader {
  /** The child `name` (raw bytes) of a directory. */
  lookup(parent: Ino, name: Uint8Array, signal: AbortSignal): Promise<Entry | undefined>;
  getattr(ino: Ino, signal: AbortSignal): Promise<Attr | undefined>;
  /** Attributes of many inodes in one round trip, in the order asked. */
  getattrs(inos: readonly Ino[], signal: AbortSignal): Promise<(Attr | undefined)[]>;
  /**
   * A page of a directory, in the engine's own order, without `.` and `..`. Memory is bounded by
   * the page. A name may come twice while the directory is being changed.
   */
  readdir(
    ino: Ino,
    options: { cursor: DirCursor | undefined; withAttrs: boolean },
    signal: AbortSignal,
  ): Promise<DirPage>;
  /** Target of a symlink. */
  readlink(ino: Ino, signal: AbortSignal): Promise<Uint8Array | undefined>;
  getxattr(ino: Ino, name: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Names of the stored extended attributes (ACLs are not among them). */
  listxattr(ino: Ino, signal: AbortSignal): Promise<Uint8Array[]>;
  /** An access rule by its id, which is never 0. Rules are immutable and cached. */
  aclRule(id: number, signal: AbortSignal): Promise<AclRule | undefined>;
  /** The slice records of chunk `index` of a file, oldest first; empty when there are none. */
  readChunk(ino: Ino, index: number, signal: AbortSignal): Promise<SliceRecord[]>;
  /**
   * The slice records of the first chunk of many files in one round trip, in the order asked.
   * Undefined for a list that cannot be decoded: whoever reads the file will be told.
   */
  readFirstChunks(
    inos: readonly Ino[],
    signal: AbortSignal,
  ): Promise<(SliceRecord[] | undefined)[]>;
  /** Parents of an inode whose attribute has parent 0. */
  parents(ino: Ino, signal: AbortSignal): Promise<Ino[]>;
  usage(signal: AbortSignal): Promise<VolumeUsage>;
  /** The quota set on exactly this directory. */
  dirQuota(ino: Ino, signal: AbortSignal): Promise<DirQuota | undefined>;
}

/** The sessions of a volume: who has it mounted. Also how members of a cache group find each other. */
export interface MetaSessions {
  /** Registers a session. @returns its id */
  openSession(info: SessionInfo, signal: AbortSignal): Promise<bigint>;
  /**
   * Moves the session's expiry forward and renews its info; makes it anew under the same id when
   * somebody cleaned it up meanwhile.
   */
  refreshSession(sid: bigint, info: SessionInfo, signal: AbortSignal): Promise<void>;
  closeSession(sid: bigint, signal: AbortSignal): Promise<void>;
  /** All sessions, also expired ones that nobody has cleaned up yet. */
  listSessions(signal: AbortSignal): Promise<SessionRecord[]>;
}

/** A volume's metadata. `start` connects and checks that a volume is there. */
export interface MetaEngine extends Startable, MetaReader, MetaSessions {
  /** For logs and status: the URL without its password. */
  readonly displayUrl: string;
  /** Undefined when threads cannot ask the server by themselves. */
  readonly direct?: DirectReads | undefined;
  /** Undefined when nobody tells of changes. */
  readonly changes?: ChangeStream | undefined;
  /**
   * Reads, checks and decodes the volume's setting, secrets decrypted.
   *
   * @throws MetaError `no-volume`, `bad-setting`, `incompatible`, `unavailable`
   */
  loadSetting(signal: AbortSignal): Promise<VolumeSetting>;
}
