import type { SliceRecord } from '../../block/slice-record.ts';
import type { Attr, Timespec } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import type { AclRule } from '../acl.ts';
import type { Edge } from '../edge-codec.ts';
import type { DirQuota, VolumeUsage } from '../engine.ts';
import type { LockType } from '../file-lock.ts';
import type { RangeLock } from '../file-lock.ts';
import type { VolumeRules } from './volume-rules.ts';

/** What a transaction is run with. Can be cloned between threads. */
export interface TxContext {
  readonly rules: VolumeRules;
  /** This client's session; undefined when it has none. */
  readonly sid: bigint | undefined;
  /** The time that this try happens at. */
  readonly now: Timespec;
}

/** A client's claim to a file: its session, and a number that it chose. */
export interface LockHolder {
  readonly sid: bigint;
  readonly owner: bigint;
}

/** How much a directory, or a user or group, uses: differences or sums. */
export interface Usage {
  readonly space: bigint;
  readonly inodes: bigint;
}

/** Statistics of the direct children of a directory. */
export interface DirStats extends Usage {
  /** Bytes of the regular files. */
  readonly length: bigint;
}

/** A slice, which objects are named by. */
export interface SliceSize {
  readonly id: bigint;
  readonly size: number;
}

/** Under what replaced slices wait: the slice that replaced them, and since when (Unix seconds). */
export interface DelayedName {
  readonly id: bigint;
  readonly seconds: number;
}

/** Jobs that one client does for all, by the names that their times are stored under. */
export type JobName =
  | 'lastCleanupSessions'
  | 'lastCleanupFiles'
  | 'nextCleanupSlices'
  | 'lastCleanupTrash';

/** Whose usage is counted. */
export type OwnerKind = 'user' | 'group';

/** The counters that ids come from. */
export type IdCounter = 'nextInode' | 'nextChunk';

/**
 * What a transaction reads. *Watched* reads: if what they gave is not true any more when the
 * transaction commits, it does not, and the body runs again from scratch. The others may be out of
 * date by then. Absence is `undefined`.
 */
export interface TxReads extends TxContext {
  /** Watched. */
  attr(ino: Ino): Promise<Attr | undefined>;
  /** Not watched. */
  peekAttr(ino: Ino): Promise<Attr | undefined>;
  /** What a directory has under a name. Watched, with all its names. */
  edge(dir: Ino, name: Uint8Array): Promise<Edge | undefined>;
  /** The same, not watched. */
  peekEdge(dir: Ino, name: Uint8Array): Promise<Edge | undefined>;
  /** Watched. */
  hasEntries(dir: Ino): Promise<boolean>;
  /** Directories that name an inode whose attribute has parent 0, and how often. Not watched. */
  links(ino: Ino): Promise<ReadonlyMap<Ino, number>>;
  symlinkTarget(ino: Ino): Promise<Uint8Array | undefined>;
  /** Watched. */
  xattr(ino: Ino, name: Uint8Array): Promise<Uint8Array | undefined>;
  /** Watched. */
  chunk(ino: Ino, index: number): Promise<SliceRecord[]>;
  /** Whether statistics are kept for a directory; `empty`: not yet, and it has no names. */
  dirStatsState(dir: Ino): Promise<'known' | 'empty' | 'missing'>;
  dirQuota(dir: Ino): Promise<DirQuota | undefined>;
  ownerQuota(kind: OwnerKind, id: number): Promise<DirQuota | undefined>;
  usage(): Promise<VolumeUsage>;
  aclRule(id: number): Promise<AclRule | undefined>;
  /** Who has flocks of a file. Watched. */
  flocks(ino: Ino): Promise<(LockHolder & { type: LockType })[]>;
  /** Who has range locks of a file. Watched. */
  rangeLocks(ino: Ino): Promise<(LockHolder & { ranges: RangeLock[] })[]>;
  /** Slices that a compaction replaced, by the name that they wait under. Watched. */
  delayedSlices(name: DelayedName): Promise<readonly SliceSize[]>;
  /** When a job was begun last, in Unix seconds; 0 when never. Watched. */
  jobStamp(job: JobName): Promise<number>;
  /** Whether this client has the inode open. */
  isOpen(ino: Ino): Promise<boolean>;
  /**
   * Parts of a chunk list that may exist: all of `first` … `last`, or fewer when the engine knows
   * better.
   */
  chunksWithin(ino: Ino, first: number, last: number): Promise<number[]>;
}

/** Changes that become true together, if the transaction commits. */
export interface TxWrites {
  insertNode(ino: Ino, attr: Attr): void;
  updateNode(ino: Ino, attr: Attr): void;
  /** The attribute and everything that belongs to the inode but its chunks. */
  removeNode(ino: Ino, attr: Attr): void;
  /** Extended attributes and parents of an inode that is kept without a name. */
  strip(ino: Ino, attr: Attr): void;
  putEdge(dir: Ino, name: Uint8Array, edge: Edge): void;
  removeEdge(dir: Ino, name: Uint8Array): void;
  /** `count` names more in a directory, of an inode whose attribute has parent 0. */
  addLinks(ino: Ino, dir: Ino, count: number): void;
  putSymlink(ino: Ino, target: Uint8Array): void;
  putXattr(ino: Ino, name: Uint8Array, value: Uint8Array): void;
  removeXattr(ino: Ino, name: Uint8Array): void;
  /** @param told - called with the number of records that there are then */
  appendRecord(ino: Ino, index: number, record: SliceRecord, told?: (count: number) => void): void;
  /** The same, unless the chunk has no records. */
  appendToExisting(ino: Ino, index: number, record: SliceRecord): void;
  /** In place of the oldest `count` records. */
  replaceRecords(ino: Ino, index: number, count: number, by: readonly SliceRecord[]): void;
  removeChunk(ino: Ino, index: number): void;
  /** The first reference to a slice. */
  addSlice(id: bigint, size: number): void;
  /**
   * @param delta - references more or less
   * @param told - called with the references that there are then
   */
  addSliceRefs(id: bigint, size: number, delta: number, told?: (refs: number) => void): void;
  /** A slice that is in a chunk from now on, with as many references. */
  putSliceRefs(id: bigint, size: number, refs: number): void;
  /** Nothing refers to the slice, and its objects are gone. */
  forgetSlice(id: bigint, size: number): void;
  /** Slices that a compaction replaced lose their references later. */
  putDelayed(name: DelayedName, slices: readonly SliceSize[]): void;
  dropDelayed(name: DelayedName): void;
  putJobStamp(job: JobName, seconds: number): void;
  /** The file's data is deleted. */
  dropDeletion(ino: Ino, length: bigint): void;
  /** The file's data is to be deleted. */
  queueDeletion(ino: Ino, length: bigint): void;
  /** A directory without a name, which is to get one; others may remove it after a day. */
  putDetached(ino: Ino): void;
  dropDetached(ino: Ino): void;
  sustain(ino: Ino): void;
  /** @param sid - whose */
  unsustain(ino: Ino, sid: bigint): void;
  addUsage(delta: Usage): void;
  /** Statistics of a directory without names, as its body made it, or found it `empty`. */
  initDirStats(dir: Ino): void;
  /** Statistics and quota of a directory that goes. */
  dropDirStats(dir: Ino): void;
  dropDirQuota(dir: Ino): void;
  /** @param used - undefined leaves what is stored */
  putDirQuota(
    dir: Ino,
    limits: Pick<DirQuota, 'maxBytes' | 'maxInodes'>,
    used: Usage | undefined,
  ): void;
  /** @param used - undefined leaves what is stored */
  putOwnerQuota(
    kind: OwnerKind,
    id: number,
    limits: Pick<DirQuota, 'maxBytes' | 'maxInodes'>,
    used: Usage | undefined,
  ): void;
  addDirStats(dir: Ino, delta: DirStats): void;
  /** Statistics are missing, so that they have to be made after the commit. */
  noteStaleStats(dir: Ino): void;
  addDirQuotaUsage(dir: Ino, delta: Usage): void;
  addOwnerUsage(kind: OwnerKind, id: number, delta: Usage): void;
  /** `undefined` gives the lock back; `hasOthers`: the session keeps others on this file. */
  putFlock(
    ino: Ino,
    holder: LockHolder,
    type: 'read' | 'write' | undefined,
    hasOthers: boolean,
  ): void;
  putRangeLocks(
    ino: Ino,
    holder: LockHolder,
    ranges: readonly RangeLock[],
    hasOthers: boolean,
  ): void;
}

/** What happens at once, committed or not: numbers that are lost are harmless. */
export interface TxDraws {
  /** The number of the next hourly directory of the trash. */
  drawTrashNumber(): Promise<bigint>;
  /** The id of an ACL rule, the present one of an equal rule or a new one. */
  internAclRule(rule: AclRule): Promise<number>;
}

/** One try of a transaction, as an engine gives it to a body. */
export interface MetaTx extends TxReads, TxWrites, TxDraws {}
