import { CHUNK_BYTES, SLICE_RECORD_BYTES } from '../../block/geometry.ts';
import { decodeSliceRecords, type SliceRecord } from '../../block/slice-record.ts';
import { type Ino, toIno } from '../../posix/ino.ts';
import { type DirQuota, MetaError } from '../engine.ts';
import { decodeSliceSizes } from '../slice-sizes.ts';
import type { DelayedName, OwnerKind, SliceSize } from '../write/meta-tx.ts';
import type {
  DeletedFile,
  DirQuotaAt,
  MetaScans,
  OwnerQuotaAt,
  StoredChunk,
  VolumeCounters,
} from '../write/scans.ts';
import type { RedisClient } from './redis-connect.ts';
import { scanKeys } from './redis-key-scan.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { ownerQuotaKeys, toInteger, toQuota } from './redis-values.ts';

const DELETED = /^([0-9]{1,20}):([0-9]{1,20})$/;
const SLICE = /^k([0-9]{1,20})_([0-9]{1,10})$/;
const DELAYED = /^([0-9]{1,20})_([0-9]{1,15})$/;
const CHUNK = /^([0-9]{1,20})_([0-9]{1,10})$/;
const ID = /^[0-9]{1,20}$/;
/** Fields per HSCAN. */
const SCAN_COUNT = 1000;
const LENGTHS_PER_TRIP = 1000;
/**
 * Truncation leaves the chunks of what it cuts off, which follow each other, to whoever deletes the file.
 * (Stock clients only look at those up to its length.) So many are looked for at once.
 */
const BEHIND_THE_END = 4;
/** Longer files are looked through by the names of all keys. */
const CHUNKS_MAX = 100_000;

/** What background work looks for. */
export class RedisScans implements MetaScans {
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;

  constructor(link: RedisLink, keys: RedisKeys) {
    this.#link = link;
    this.#keys = keys;
  }

  async deletedFiles(before: number, limit: number, signal: AbortSignal): Promise<DeletedFile[]> {
    const key = this.#keys.delfiles;
    const members = await this.#run('deletedFiles', signal, (client) =>
      client.zrangebyscore(key, '-inf', before, 'LIMIT', 0, limit),
    );
    return members.flatMap((member) => {
      const [, ino, length] = DELETED.exec(member) ?? [];
      if (ino === undefined || length === undefined) return [];
      return [{ ino: toIno(BigInt(ino)), length: BigInt(length) }];
    });
  }

  async chunkIndexes({ ino, length }: DeletedFile, signal: AbortSignal): Promise<number[]> {
    const count = Number((length + BigInt(CHUNK_BYTES) - 1n) / BigInt(CHUNK_BYTES));
    if (count > CHUNKS_MAX) return this.#scanChunks(ino, signal);
    const found: number[] = [];
    for (let first = 0; ; ) {
      const size = Math.min(LENGTHS_PER_TRIP, Math.max(count - first, 0) + BEHIND_THE_END);
      const indexes = Array.from({ length: size }, (_, step) => first + step);
      const lengths = await this.#run('chunkIndexes', signal, (client) =>
        Promise.all(indexes.map((index) => client.llen(this.#keys.chunk(ino, index)))),
      );
      found.push(...indexes.filter((_, at) => (lengths[at] ?? 0) > 0));
      first += size;
      if (first > count && lengths.at(-1) === 0) return found;
    }
  }

  async unusedSlices(limit: number, signal: AbortSignal): Promise<SliceSize[]> {
    const found: SliceSize[] = [];
    await this.#scanHash(this.#keys.sliceRef, signal, (field, value) => {
      const [, id, size] = SLICE.exec(field) ?? [];
      if (value.toString().startsWith('-') && id !== undefined)
        found.push({ id: BigInt(id), size: Number(size) });
      return found.length < limit;
    });
    return found;
  }

  async delayedSlices(before: number, limit: number, signal: AbortSignal): Promise<DelayedName[]> {
    const found: DelayedName[] = [];
    await this.#scanHash(this.#keys.delSlices, signal, (field) => {
      const [, id, seconds] = DELAYED.exec(field) ?? [];
      if (id !== undefined && Number(seconds) < before) {
        found.push({ id: BigInt(id), seconds: Number(seconds) });
      }
      return found.length < limit;
    });
    return found;
  }

  async staleSessions(now: number, limit: number, signal: AbortSignal): Promise<bigint[]> {
    const key = this.#keys.allSessions;
    const members = await this.#run('staleSessions', signal, (client) =>
      client.zrangebyscore(key, '-inf', now, 'LIMIT', 0, limit),
    );
    return members.filter((member) => ID.test(member)).map(BigInt);
  }

  async sustained(sid: bigint, signal: AbortSignal): Promise<Ino[]> {
    const members = await this.#run('sustained', signal, (client) =>
      client.smembers(this.#keys.sustained(sid)),
    );
    return members.map((member) => toIno(BigInt(member)));
  }

  async dropLocks(sid: bigint, signal: AbortSignal): Promise<void> {
    const locked = this.#keys.locked(sid);
    await this.#run('dropLocks', signal, async (client) => {
      for (const key of await client.smembers(locked)) {
        const holders = await client.hkeys(key);
        const own = holders.filter((holder) => holder.startsWith(`${sid}_`));
        if (own.length > 0) await client.hdel(key, ...own);
        await client.srem(locked, key);
      }
    });
  }

  async dirQuotas(signal: AbortSignal): Promise<DirQuotaAt[]> {
    const { dirQuota, dirQuotaUsedSpace, dirQuotaUsedInodes } = this.#keys;
    const keys = [dirQuota, dirQuotaUsedSpace, dirQuotaUsedInodes] as const;
    const quotas = await this.#quotas('dirQuotas', keys, signal);
    return quotas.map(({ id, quota }) => ({ dir: toIno(id), quota }));
  }

  async *chunks(signal: AbortSignal): AsyncIterable<StoredChunk> {
    const prefix = `${this.#keys.prefix}c`;
    for await (const names of scanKeys(this.#link, `${prefix}*_*`, signal)) {
      const places = names.flatMap((key) => {
        const [, ino, index] = CHUNK.exec(key.slice(prefix.length)) ?? [];
        return ino === undefined ? [] : [{ key, ino: toIno(BigInt(ino)), index: Number(index) }];
      });
      const lists = await this.#run('chunks', signal, (client) =>
        Promise.all(places.map(({ key }) => client.lrangeBuffer(key, 0, -1))),
      );
      for (const [at, { ino, index }] of places.entries()) {
        yield { ino, index, records: recordsOf(lists[at] ?? []) };
      }
    }
  }

  async waitingSlices(signal: AbortSignal): Promise<SliceSize[]> {
    const found: SliceSize[] = [];
    await this.#scanHash(this.#keys.delSlices, signal, (field, value) => {
      const slices = decodeSliceSizes(value);
      if (slices === undefined) throw new MetaError('corrupt', `delSlices ${field}`);
      found.push(...slices);
      return true;
    });
    return found;
  }

  async #scanChunks(ino: Ino, signal: AbortSignal): Promise<number[]> {
    const prefix = `${this.#keys.prefix}c${ino}_`;
    const found = new Set<number>();
    for await (const names of scanKeys(this.#link, `${prefix}*`, signal)) {
      for (const name of names) found.add(Number(name.slice(prefix.length)));
    }
    return [...found];
  }

  async ownerQuotas(kind: OwnerKind, signal: AbortSignal): Promise<OwnerQuotaAt[]> {
    const keys = ownerQuotaKeys(this.#keys, kind);
    const quotas = await this.#quotas('ownerQuotas', keys, signal);
    return quotas.map(({ id, quota }) => ({ id: Number(id), quota }));
  }

  async counters(signal: AbortSignal): Promise<VolumeCounters> {
    const { usedSpace, totalInodes, nextInode, nextChunk, nextSession, nextTrash } = this.#keys;
    const keys = [usedSpace, totalInodes, nextInode, nextChunk, nextSession, nextTrash];
    const values = await this.#run('counters', signal, (client) => client.mget(keys));
    const value = (index: number) => toInteger(values[index] ?? '0', keys[index] ?? '');
    return {
      ...{ usedBytes: value(0), inodes: value(1) },
      // Redis keeps the last ids that were taken.
      ...{ nextInode: value(2) + 1n, nextChunk: value(3) + 1n },
      ...{ nextSession: value(4), nextTrash: value(5) },
    };
  }

  async #quotas(
    op: string,
    [limitsKey, spaceKey, inodesKey]: readonly [string, string, string],
    signal: AbortSignal,
  ): Promise<{ id: bigint; quota: DirQuota }[]> {
    const [fields, limits, spaces, inodes] = await this.#run(op, signal, (client) =>
      Promise.all([
        client.hkeys(limitsKey),
        client.hgetallBuffer(limitsKey),
        client.hgetall(spaceKey),
        client.hgetall(inodesKey),
      ]),
    );
    return fields.flatMap((field) => {
      const value = limits[field];
      if (value === undefined || !ID.test(field)) return [];
      const space = toInteger(spaces[field] ?? '0', spaceKey);
      const used = toInteger(inodes[field] ?? '0', inodesKey);
      return [{ id: BigInt(field), quota: toQuota(value, space, used) }];
    });
  }

  /** @param each - returns whether to go on */
  async #scanHash(
    key: string,
    signal: AbortSignal,
    each: (field: string, value: Buffer) => boolean,
  ): Promise<void> {
    let cursor = '0';
    do {
      const at = cursor;
      const [next, fields] = await this.#run('scan', signal, (client) =>
        client.hscanBuffer(key, at, 'COUNT', SCAN_COUNT),
      );
      cursor = next.toString();
      for (let index = 0; index + 1 < fields.length; index += 2) {
        const [field, value] = [fields[index], fields[index + 1]];
        if (!each(String(field), value ?? Buffer.alloc(0))) return;
      }
    } while (cursor !== '0');
  }

  #run<T>(op: string, signal: AbortSignal, work: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#link.run({ op, target: 'volume' }, signal, work);
  }
}

function recordsOf(values: readonly Buffer[]): SliceRecord[] | undefined {
  const isWhole = values.every((value) => value.byteLength === SLICE_RECORD_BYTES);
  return isWhole ? decodeSliceRecords(Buffer.concat(values)) : undefined;
}
