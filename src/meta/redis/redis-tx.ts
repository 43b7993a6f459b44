import { encodeSliceRecords, type SliceRecord } from '../../block/slice-record.ts';
import { type Attr, FileType } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import type { AclRule } from '../acl.ts';
import { encodeAttr } from '../attr-codec.ts';
import { encodeEdge, type Edge } from '../edge-codec.ts';
import type { DirQuota } from '../engine.ts';
import type { RangeLock } from '../file-lock.ts';
import { encodeSliceSizes } from '../slice-sizes.ts';
import { encodeRangeLocks } from '../lock-codec.ts';
import type {
  DelayedName,
  DirStats,
  JobName,
  LockHolder,
  MetaTx,
  OwnerKind,
  SliceSize,
  Usage,
} from '../write/meta-tx.ts';
import { asBuffer } from './redis-directory.ts';
import { RedisTxReads } from './redis-tx-reads.ts';
import { fromLimits, holderField, NO_LIMITS, ownerQuotaKeys } from './redis-values.ts';

type Limits = Pick<DirQuota, 'maxBytes' | 'maxInodes'>;

/** A command that waits for EXEC. */
export interface QueuedCommand {
  readonly words: readonly (string | Buffer)[];
  /** Told the reply, which is a whole number. */
  readonly told: ((reply: number) => void) | undefined;
}

/** One try of a transaction: reads at once, writes when the body has ended. */
export class RedisTx extends RedisTxReads implements MetaTx {
  /** What EXEC is to do, in order. */
  readonly queued: QueuedCommand[] = [];
  /** Directories whose statistics are missing. */
  readonly staleStats = new Set<Ino>();

  insertNode(ino: Ino, attr: Attr): void {
    this.updateNode(ino, attr);
  }

  updateNode(ino: Ino, attr: Attr): void {
    this.#queue(['SET', this.keys.attr(ino), asBuffer(encodeAttr(attr))]);
  }

  removeNode(ino: Ino, attr: Attr): void {
    this.#queue(['DEL', this.keys.attr(ino)]);
    if (attr.type === FileType.symlink) this.#queue(['DEL', this.keys.symlink(ino)]);
    this.strip(ino, attr);
  }

  strip(ino: Ino, attr: Attr): void {
    this.#queue(['DEL', this.keys.xattrs(ino)]);
    if (attr.parent === 0n) this.#queue(['DEL', this.keys.parents(ino)]);
  }

  putEdge(dir: Ino, name: Uint8Array, edge: Edge): void {
    const value = asBuffer(encodeEdge(edge));
    this.#queue(['HSET', this.keys.directory(dir), asBuffer(name), value]);
  }

  removeEdge(dir: Ino, name: Uint8Array): void {
    this.#queue(['HDEL', this.keys.directory(dir), asBuffer(name)]);
  }

  addLinks(ino: Ino, dir: Ino, count: number): void {
    this.#queue(['HINCRBY', this.keys.parents(ino), String(dir), String(count)]);
  }

  putSymlink(ino: Ino, target: Uint8Array): void {
    this.#queue(['SET', this.keys.symlink(ino), asBuffer(target)]);
  }

  putXattr(ino: Ino, name: Uint8Array, value: Uint8Array): void {
    this.#queue(['HSET', this.keys.xattrs(ino), asBuffer(name), asBuffer(value)]);
  }

  removeXattr(ino: Ino, name: Uint8Array): void {
    this.#queue(['HDEL', this.keys.xattrs(ino), asBuffer(name)]);
  }

  appendRecord(ino: Ino, index: number, record: SliceRecord, told?: (count: number) => void): void {
    const value = asBuffer(encodeSliceRecords([record]));
    this.#queue(['RPUSH', this.keys.chunk(ino, index), value], told);
  }

  appendToExisting(ino: Ino, index: number, record: SliceRecord): void {
    const value = asBuffer(encodeSliceRecords([record]));
    this.#queue(['RPUSHX', this.keys.chunk(ino, index), value]);
  }

  replaceRecords(ino: Ino, index: number, count: number, by: readonly SliceRecord[]): void {
    const key = this.keys.chunk(ino, index);
    this.#queue(['LTRIM', key, String(count), '-1']);
    const values = by.map((record) => asBuffer(encodeSliceRecords([record])));
    // The last one that is pushed to the front is the first.
    if (values.length > 0) this.#queue(['LPUSH', key, ...values.toReversed()]);
  }

  removeChunk(ino: Ino, index: number): void {
    this.#queue(['DEL', this.keys.chunk(ino, index)]);
  }

  addSlice(): void {
    // Nothing is stored for a slice with one reference.
  }

  addSliceRefs(id: bigint, size: number, delta: number, told?: (refs: number) => void): void {
    const words = ['HINCRBY', this.keys.sliceRef, this.keys.sliceField(id, size), String(delta)];
    this.#queue(words, told === undefined ? undefined : (value) => told(value + 1));
  }

  putSliceRefs(id: bigint, size: number, refs: number): void {
    const field = this.keys.sliceField(id, size);
    this.#queue(['HSET', this.keys.sliceRef, field, String(refs - 1)]);
  }

  forgetSlice(id: bigint, size: number): void {
    this.#queue(['HDEL', this.keys.sliceRef, this.keys.sliceField(id, size)]);
  }

  putDelayed({ id, seconds }: DelayedName, slices: readonly SliceSize[]): void {
    const value = asBuffer(encodeSliceSizes(slices));
    this.#queue(['HSET', this.keys.delSlices, `${id}_${seconds}`, value]);
  }

  dropDelayed({ id, seconds }: DelayedName): void {
    this.#queue(['HDEL', this.keys.delSlices, `${id}_${seconds}`]);
  }

  putJobStamp(job: JobName, seconds: number): void {
    this.#queue(['SET', this.keys.job(job), String(seconds)]);
  }

  dropDeletion(ino: Ino, length: bigint): void {
    this.#queue(['ZREM', this.keys.delfiles, `${ino}:${length}`]);
  }

  queueDeletion(ino: Ino, length: bigint): void {
    this.#queue(['ZADD', this.keys.delfiles, String(this.now.seconds), `${ino}:${length}`]);
  }

  putDetached(ino: Ino): void {
    this.#queue(['ZADD', this.keys.detachedNodes, String(this.now.seconds), String(ino)]);
  }

  dropDetached(ino: Ino): void {
    this.#queue(['ZREM', this.keys.detachedNodes, String(ino)]);
  }

  sustain(ino: Ino): void {
    if (this.sid === undefined) return;
    this.#queue(['SADD', this.keys.sustained(this.sid), String(ino)]);
  }

  unsustain(ino: Ino, sid: bigint): void {
    this.#queue(['SREM', this.keys.sustained(sid), String(ino)]);
  }

  addUsage({ space, inodes }: Usage): void {
    if (space !== 0n) this.#queue(['INCRBY', this.keys.usedSpace, String(space)]);
    if (inodes !== 0n) this.#queue(['INCRBY', this.keys.totalInodes, String(inodes)]);
  }

  initDirStats(dir: Ino): void {
    const { dirUsedInodes, dirDataLength, dirUsedSpace } = this.keys;
    for (const key of [dirUsedInodes, dirDataLength, dirUsedSpace]) {
      this.#queue(['HSETNX', key, String(dir), '0']);
    }
  }

  dropDirStats(dir: Ino): void {
    const { dirUsedInodes, dirDataLength, dirUsedSpace } = this.keys;
    for (const key of [dirDataLength, dirUsedSpace, dirUsedInodes]) {
      this.#queue(['HDEL', key, String(dir)]);
    }
  }

  dropDirQuota(dir: Ino): void {
    const { dirQuota, dirQuotaUsedSpace, dirQuotaUsedInodes } = this.keys;
    for (const key of [dirQuota, dirQuotaUsedSpace, dirQuotaUsedInodes]) {
      this.#queue(['HDEL', key, String(dir)]);
    }
  }

  putDirQuota(dir: Ino, limits: Limits, used: Usage | undefined): void {
    const { dirQuota, dirQuotaUsedSpace, dirQuotaUsedInodes } = this.keys;
    const keys = [dirQuota, dirQuotaUsedSpace, dirQuotaUsedInodes] as const;
    this.#putQuota(keys, String(dir), limits, used);
  }

  putOwnerQuota(kind: OwnerKind, id: number, limits: Limits, used: Usage | undefined): void {
    this.#putQuota(ownerQuotaKeys(this.keys, kind), String(id), limits, used);
  }

  addDirStats(dir: Ino, { length, space, inodes }: DirStats): void {
    this.#increment(this.keys.dirDataLength, dir, length);
    this.#increment(this.keys.dirUsedSpace, dir, space);
    this.#increment(this.keys.dirUsedInodes, dir, inodes);
  }

  noteStaleStats(dir: Ino): void {
    this.staleStats.add(dir);
  }

  addDirQuotaUsage(dir: Ino, { space, inodes }: Usage): void {
    this.#increment(this.keys.dirQuotaUsedSpace, dir, space);
    this.#increment(this.keys.dirQuotaUsedInodes, dir, inodes);
  }

  addOwnerUsage(kind: OwnerKind, id: number, { space, inodes }: Usage): void {
    const [limits, usedSpace, usedInodes] = ownerQuotaKeys(this.keys, kind);
    this.#queue(['HSETNX', limits, String(id), NO_LIMITS]);
    // Both, also when one is 0: the three hashes have the same fields.
    this.#queue(['HINCRBY', usedSpace, String(id), String(space)]);
    this.#queue(['HINCRBY', usedInodes, String(id), String(inodes)]);
  }

  putFlock(
    ino: Ino,
    holder: LockHolder,
    type: 'read' | 'write' | undefined,
    hasOthers: boolean,
  ): void {
    const value = type === 'write' ? 'W' : 'R';
    this.#putLock(this.keys.flocks(ino), holder, type === undefined ? undefined : value, hasOthers);
  }

  putRangeLocks(
    ino: Ino,
    holder: LockHolder,
    ranges: readonly RangeLock[],
    hasOthers: boolean,
  ): void {
    const value = ranges.length === 0 ? undefined : asBuffer(encodeRangeLocks(ranges));
    this.#putLock(this.keys.rangeLocks(ino), holder, value, hasOthers);
  }

  async drawTrashNumber(): Promise<bigint> {
    return BigInt(await this.ask().incr(this.keys.nextTrash));
  }

  internAclRule(rule: AclRule): Promise<number> {
    return this.acl.intern(this.ask(), rule);
  }

  #putQuota(
    [limitsKey, spaceKey, inodesKey]: readonly [string, string, string],
    field: string,
    limits: Limits,
    used: Usage | undefined,
  ): void {
    this.#queue(['HSET', limitsKey, field, fromLimits(limits)]);
    if (used === undefined) return;
    this.#queue(['HSET', spaceKey, field, String(used.space)]);
    this.#queue(['HSET', inodesKey, field, String(used.inodes)]);
  }

  #putLock(
    key: string,
    holder: LockHolder,
    value: string | Buffer | undefined,
    hasOthers: boolean,
  ): void {
    const field = holderField(holder);
    const locked = this.keys.locked(holder.sid);
    if (value !== undefined) {
      this.#queue(['HSET', key, field, value]);
      this.#queue(['SADD', locked, key]);
      return;
    }
    this.#queue(['HDEL', key, field]);
    if (!hasOthers) this.#queue(['SREM', locked, key]);
  }

  #increment(hash: string, field: Ino, by: bigint): void {
    if (by !== 0n) this.#queue(['HINCRBY', hash, String(field), String(by)]);
  }

  #queue(words: readonly (string | Buffer)[], told?: (reply: number) => void): void {
    this.queued.push({ words, told });
  }
}
