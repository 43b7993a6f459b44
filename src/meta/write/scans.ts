import type { SliceRecord } from '../../block/slice-record.ts';
import type { Ino } from '../../posix/ino.ts';
import type { DirQuota, VolumeUsage } from '../engine.ts';
import type { DelayedName, OwnerKind, SliceSize } from './meta-tx.ts';

/** A deleted file whose data is there still. */
export interface DeletedFile {
  readonly ino: Ino;
  readonly length: bigint;
}

/** The slice list of a part of a file, as it is stored. */
export interface StoredChunk {
  readonly ino: Ino;
  readonly index: number;
  /** Undefined when it cannot be decoded. */
  readonly records: readonly SliceRecord[] | undefined;
}

/** A quota of a user or a group. */
export interface OwnerQuotaAt {
  /** uid or gid. */
  readonly id: number;
  readonly quota: DirQuota;
}

/** What a volume counts. */
export interface VolumeCounters extends VolumeUsage {
  /** The lowest ids that nobody has taken. */
  readonly nextInode: bigint;
  readonly nextChunk: bigint;
  /** The last ids that were taken. */
  readonly nextSession: bigint;
  readonly nextTrash: bigint;
}

/** A quota, and the directory that has it. */
export interface DirQuotaAt {
  readonly dir: Ino;
  readonly quota: DirQuota;
}

/**
 * What background work looks for. Nothing of it is a snapshot: the work itself looks again, in a
 * transaction.
 */
export interface MetaScans {
  /** Files deleted before a time (Unix seconds), the oldest first. */
  deletedFiles(before: number, limit: number, signal: AbortSignal): Promise<DeletedFile[]>;
  /** Chunks of a file that have records, up to its length or beyond. */
  chunkIndexes(file: DeletedFile, signal: AbortSignal): Promise<number[]>;
  /** Slices that nothing refers to. */
  unusedSlices(limit: number, signal: AbortSignal): Promise<SliceSize[]>;
  /** Replaced slices that have waited since before a time (Unix seconds). */
  delayedSlices(before: number, limit: number, signal: AbortSignal): Promise<DelayedName[]>;
  /** Sessions that have expired. */
  staleSessions(now: number, limit: number, signal: AbortSignal): Promise<bigint[]>;
  /** Inodes that a session keeps without a name. */
  sustained(sid: bigint, signal: AbortSignal): Promise<Ino[]>;
  /** All slice lists. One that is there all the time comes at least once, others may or may not. */
  chunks(signal: AbortSignal): AsyncIterable<StoredChunk>;
  /** All slices that were replaced and wait for their time. */
  waitingSlices(signal: AbortSignal): Promise<SliceSize[]>;
  /** The quotas of all directories. */
  dirQuotas(signal: AbortSignal): Promise<DirQuotaAt[]>;
  /** The quotas of all users, or groups, whose usage is known; many have no limits. */
  ownerQuotas(kind: OwnerKind, signal: AbortSignal): Promise<OwnerQuotaAt[]>;
  counters(signal: AbortSignal): Promise<VolumeCounters>;
  /** Gives all locks of a session back. */
  dropLocks(sid: bigint, signal: AbortSignal): Promise<void>;
}
