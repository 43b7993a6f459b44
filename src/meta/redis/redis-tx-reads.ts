import type { Redis } from 'ioredis';
import { decodeSliceRecords, type SliceRecord } from '../../block/slice-record.ts';
import type { Attr, Timespec } from '../../posix/attr.ts';
import { type Ino, toIno } from '../../posix/ino.ts';
import type { AclRule } from '../acl.ts';
import { decodeEdge, type Edge } from '../edge-codec.ts';
import { type DirQuota, MetaError, type VolumeUsage } from '../engine.ts';
import type { LockType, RangeLock } from '../file-lock.ts';
import { decodeSliceSizes } from '../slice-sizes.ts';
import { decodeRangeLocks } from '../lock-codec.ts';
import type {
  DelayedName,
  JobName,
  LockHolder,
  OwnerKind,
  SliceSize,
  TxContext,
  TxReads,
} from '../write/meta-tx.ts';
import type { VolumeRules } from '../write/volume-rules.ts';
import type { RedisAcl } from './redis-acl.ts';
import { asBuffer, toAttr } from './redis-directory.ts';
import type { RedisKeys } from './redis-keys.ts';
import { ownerQuotaKeys, parseHolder, toInteger, toQuota } from './redis-values.ts';
import type { WriteBatch } from './write-batch.ts';

/** More chunks than this are looked for in the whole database instead of one by one. */
const CHUNKS_MAX = 10_000;
const SCAN_COUNT = 10_000;
const SLICE_BYTES = 24;

/** What a transaction on Redis works with. */
export interface RedisTxParts {
  readonly client: Redis;
  readonly batch: WriteBatch;
  readonly keys: RedisKeys;
  readonly acl: RedisAcl;
  readonly context: TxContext;
  readonly isOpen: (ino: Ino) => boolean;
}

/**
 * The reads of a transaction. WATCH goes before the read of its key on the same connection, and
 * all that is asked for in one turn leaves in one write: watching costs no trip of its own.
 */
export class RedisTxReads implements TxReads {
  readonly now: Timespec;
  readonly rules: VolumeRules;
  readonly sid: bigint | undefined;
  protected readonly keys: RedisKeys;
  protected readonly acl: RedisAcl;
  readonly #client: Redis;
  readonly #batch: WriteBatch;
  readonly #isOpen: (ino: Ino) => boolean;
  #isWatching = false;

  constructor({ client, batch, keys, acl, context, isOpen }: RedisTxParts) {
    this.now = context.now;
    this.rules = context.rules;
    this.sid = context.sid;
    this.keys = keys;
    this.acl = acl;
    this.#client = client;
    this.#batch = batch;
    this.#isOpen = isOpen;
  }

  /** Whether the connection must be told to forget what it watches. */
  get isWatching(): boolean {
    return this.#isWatching;
  }

  async attr(ino: Ino): Promise<Attr | undefined> {
    this.#watch(this.keys.attr(ino));
    return this.peekAttr(ino);
  }

  async peekAttr(ino: Ino): Promise<Attr | undefined> {
    const value = await this.ask().getBuffer(this.keys.attr(ino));
    return value === null ? undefined : toAttr(value, ino);
  }

  async edge(dir: Ino, name: Uint8Array): Promise<Edge | undefined> {
    this.#watch(this.keys.directory(dir));
    return this.peekEdge(dir, name);
  }

  async peekEdge(dir: Ino, name: Uint8Array): Promise<Edge | undefined> {
    const value = await this.ask().hgetBuffer(this.keys.directory(dir), asBuffer(name));
    if (value === null) return undefined;
    const edge = decodeEdge(value);
    if (edge === undefined) throw new MetaError('corrupt', `d${dir}: the value of a name`);
    return edge;
  }

  async hasEntries(dir: Ino): Promise<boolean> {
    const key = this.keys.directory(dir);
    this.#watch(key);
    return (await this.ask().hlen(key)) > 0;
  }

  async links(ino: Ino): Promise<ReadonlyMap<Ino, number>> {
    const key = this.keys.parents(ino);
    const counts = Object.entries(await this.ask().hgetall(key));
    return new Map(
      counts
        .map(([dir, count]) => [toIno(toInteger(dir, key)), Number(toInteger(count, key))] as const)
        .filter(([, count]) => count > 0),
    );
  }

  async symlinkTarget(ino: Ino): Promise<Uint8Array | undefined> {
    return (await this.ask().getBuffer(this.keys.symlink(ino))) ?? undefined;
  }

  async xattr(ino: Ino, name: Uint8Array): Promise<Uint8Array | undefined> {
    const key = this.keys.xattrs(ino);
    this.#watch(key);
    return (await this.ask().hgetBuffer(key, asBuffer(name))) ?? undefined;
  }

  async chunk(ino: Ino, index: number): Promise<SliceRecord[]> {
    const key = this.keys.chunk(ino, index);
    this.#watch(key);
    const values = await this.ask().lrangeBuffer(key, 0, -1);
    const isWhole = values.every((value) => value.byteLength === SLICE_BYTES);
    const records = isWhole ? decodeSliceRecords(Buffer.concat(values)) : undefined;
    if (records === undefined) throw new MetaError('corrupt', `the slice list ${key}`);
    return records;
  }

  async dirStatsState(dir: Ino): Promise<'known' | 'empty' | 'missing'> {
    const isKnown = await this.ask().hexists(this.keys.dirUsedSpace, String(dir));
    if (isKnown === 1) return 'known';
    // Rare: only directories that older clients, or a format, made have none.
    return (await this.ask().hlen(this.keys.directory(dir))) === 0 ? 'empty' : 'missing';
  }

  async dirQuota(dir: Ino): Promise<DirQuota | undefined> {
    const { dirQuota, dirQuotaUsedSpace, dirQuotaUsedInodes } = this.keys;
    return this.#quota([dirQuota, dirQuotaUsedSpace, dirQuotaUsedInodes], String(dir));
  }

  async ownerQuota(kind: OwnerKind, id: number): Promise<DirQuota | undefined> {
    return this.#quota(ownerQuotaKeys(this.keys, kind), String(id));
  }

  async usage(): Promise<VolumeUsage> {
    const { usedSpace, totalInodes } = this.keys;
    const [used, inodes] = await this.ask().mget(usedSpace, totalInodes);
    return {
      usedBytes: toInteger(used ?? '0', usedSpace),
      inodes: toInteger(inodes ?? '0', totalInodes),
    };
  }

  aclRule(id: number): Promise<AclRule | undefined> {
    return this.acl.rule(this.ask(), id);
  }

  async flocks(ino: Ino): Promise<(LockHolder & { type: LockType })[]> {
    const key = this.keys.flocks(ino);
    this.#watch(key);
    return Object.entries(await this.ask().hgetall(key)).map(([field, value]) => ({
      ...parseHolder(field, key),
      type: value === 'W' ? 'write' : 'read',
    }));
  }

  async rangeLocks(ino: Ino): Promise<(LockHolder & { ranges: RangeLock[] })[]> {
    const key = this.keys.rangeLocks(ino);
    this.#watch(key);
    return Object.entries(await this.ask().hgetallBuffer(key)).map(([field, value]) => {
      const ranges = decodeRangeLocks(value);
      if (ranges === undefined) throw new MetaError('corrupt', `${key}: the locks of ${field}`);
      return { ...parseHolder(field, key), ranges };
    });
  }

  async delayedSlices({ id, seconds }: DelayedName): Promise<readonly SliceSize[]> {
    const { delSlices } = this.keys;
    this.#watch(delSlices);
    const value = await this.ask().hgetBuffer(delSlices, `${id}_${seconds}`);
    const slices = decodeSliceSizes(value ?? new Uint8Array());
    if (slices === undefined) throw new MetaError('corrupt', `delSlices ${id}_${seconds}`);
    return slices;
  }

  async jobStamp(job: JobName): Promise<number> {
    const key = this.keys.job(job);
    this.#watch(key);
    return Number(toInteger((await this.ask().get(key)) ?? '0', key));
  }

  async isOpen(ino: Ino): Promise<boolean> {
    return this.#isOpen(ino);
  }

  async chunksWithin(ino: Ino, first: number, last: number): Promise<number[]> {
    if (last - first < CHUNKS_MAX) {
      return Array.from({ length: last - first + 1 }, (_, step) => first + step);
    }
    const prefix = `${this.keys.prefix}c${ino}_`;
    const found = new Set<number>();
    let cursor = '0';
    do {
      const [next, names] = await this.ask().scan(
        ...([cursor, 'MATCH', `${escapeGlob(prefix)}*`, 'COUNT', SCAN_COUNT] as const),
      );
      cursor = next;
      for (const name of names) found.add(Number(name.slice(prefix.length)));
    } while (cursor !== '0');
    return [...found].filter((index) => index >= first && index <= last);
  }

  /** The connection, for a command that leaves together with the others of this turn. */
  protected ask(): Redis {
    this.#batch.join(this.#client);
    return this.#client;
  }

  #watch(key: string): void {
    this.#isWatching = true;
    // A connection that fails makes the read behind it fail, too.
    this.ask()
      .watch(key)
      .catch(() => undefined);
  }

  async #quota(
    [limits, usedSpace, usedInodes]: readonly [string, string, string],
    field: string,
  ): Promise<DirQuota | undefined> {
    const [stored, space, inodes] = await Promise.all([
      this.ask().hgetBuffer(limits, field),
      this.ask().hget(usedSpace, field),
      this.ask().hget(usedInodes, field),
    ]);
    if (stored === null) return undefined;
    return toQuota(
      stored,
      toInteger(space ?? '0', usedSpace),
      toInteger(inodes ?? '0', usedInodes),
    );
  }
}

/** A cluster's prefix has braces, which patterns give no meaning; brackets and the like cannot occur. */
function escapeGlob(text: string): string {
  return text.replaceAll(/[[\]*?\\]/g, String.raw`\$&`);
}
