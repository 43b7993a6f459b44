import type { Redis } from 'ioredis';
import { encodeSliceRecords } from '../../block/slice-record.ts';
import { type Ino, toIno } from '../../posix/ino.ts';
import { encodeAclRule } from '../acl-codec.ts';
import { decodeAttr, encodeAttr } from '../attr-codec.ts';
import { encodeEdge } from '../edge-codec.ts';
import type { EngineContext } from '../engine-context.ts';
import { type DirQuota, MetaError } from '../engine.ts';
import type { Environment } from '../password.ts';
import type { LoadRecord, VolumeLoader } from '../volume-loader.ts';
import type { VolumeCounters } from '../write/scans.ts';
import { asBuffer } from './redis-directory.ts';
import { toMetaError } from './redis-errors.ts';
import { execute } from './redis-exec.ts';
import { scanKeys } from './redis-key-scan.ts';
import {
  type OpenRedis,
  openRedis,
  poolBeside,
  redisOptions,
  type RedisOpenOptions,
} from './redis-open.ts';
import type { RedisPool } from './redis-pool.ts';
import { removeVolumeKeys } from './redis-removal.ts';
import type { QueuedCommand } from './redis-tx.ts';
import { fromLimits, ownerQuotaKeys } from './redis-values.ts';

type Words = readonly (string | Buffer)[];

/** Records per RPUSH. */
const RECORDS_MAX = 1000;

/** Makes a volume in an empty database of Redis. */
export class RedisLoader implements VolumeLoader {
  readonly displayUrl: string;
  readonly #options: RedisOpenOptions;
  #opened: (OpenRedis & { readonly pool: RedisPool }) | undefined;
  #aclMaxId = 0;

  /** @throws MetaError `bad-url`. @see RedisEngine */
  constructor(url: string, env: Environment, context: EngineContext) {
    this.#options = { ...redisOptions(url, env, context), mayBeEmpty: true };
    this.displayUrl = this.#options.url.display;
  }

  async begin(signal: AbortSignal): Promise<void> {
    const opened = await openRedis(this.#options, signal);
    const { link, keys } = opened;
    const pool = poolBeside(opened, this.#options);
    this.#opened = { ...opened, pool };
    for await (const [name] of scanKeys(link, `${keys.prefix}*`, signal)) {
      if (name === undefined) continue;
      throw new MetaError('refused', `${this.displayUrl} is not empty: it has a key ${name}`);
    }
  }

  async put(records: readonly LoadRecord[], signal: AbortSignal): Promise<void> {
    await this.#use(signal, async (client) => {
      const commands: QueuedCommand[] = [];
      for (const record of records) {
        const queued =
          record.kind === 'links'
            ? await this.#linkCommands(client, record.ino, record.more)
            : this.#commandsOf(record);
        commands.push(...queued);
      }
      if (commands.length > 0) await execute(client, commands);
    });
  }

  async finish(setting: Uint8Array, counters: VolumeCounters, signal: AbortSignal): Promise<void> {
    const { keys } = this.#known();
    const { usedBytes, inodes, nextInode, nextChunk, nextSession, nextTrash } = counters;
    const commands: Words[] = [
      ['SET', keys.usedSpace, String(usedBytes)],
      ['SET', keys.totalInodes, String(inodes)],
      // Redis keeps the last ids that were taken.
      ['SET', keys.nextInode, String(nextInode - 1n)],
      ['SET', keys.nextChunk, String(nextChunk - 1n)],
      ['SET', keys.nextSession, String(nextSession)],
      ['SET', keys.nextTrash, String(nextTrash)],
    ];
    if (this.#aclMaxId > 0) commands.push(['SET', keys.aclMaxId, String(this.#aclMaxId)]);
    await this.#use(signal, async (client) => {
      await client.watch(keys.setting);
      if ((await client.exists(keys.setting)) > 0) {
        throw new MetaError('refused', 'somebody else has made a volume there meanwhile');
      }
      await execute(client, queuedOf([...commands, ['SET', keys.setting, asBuffer(setting)]]));
    });
  }

  async abandon(signal: AbortSignal): Promise<void> {
    const { link, keys } = this.#known();
    const name = { op: 'hasVolume', target: keys.setting };
    const found = await link.run(name, signal, (client) => client.exists(keys.setting));
    if (found > 0) throw new MetaError('refused', 'there is a whole volume');
    await removeVolumeKeys(link, keys, signal);
  }

  async close(): Promise<void> {
    this.#opened?.pool.close();
    this.#opened?.link.close();
    this.#opened = undefined;
  }

  async #use(signal: AbortSignal, work: (client: Redis) => Promise<void>): Promise<void> {
    await this.#known().pool.use(
      signal,
      () => false,
      async ({ client }) => {
        try {
          await work(client);
        } catch (error) {
          throw toMetaError(error);
        }
      },
    );
  }

  #known() {
    if (this.#opened === undefined) throw new MetaError('unavailable', 'Redis: not begun');
    return this.#opened;
  }

  async #linkCommands(
    client: Redis,
    ino: Ino,
    more: ReadonlyMap<Ino, number>,
  ): Promise<QueuedCommand[]> {
    const { keys } = this.#known();
    const stored = await client.getBuffer(keys.attr(ino));
    const attr = stored === null ? undefined : decodeAttr(stored);
    if (attr === undefined) throw new MetaError('corrupt', `the attribute of inode ${ino}`);
    const counts = new Map(more);
    counts.set(attr.parent, (counts.get(attr.parent) ?? 0) + 1);
    const nlink = [...counts.values()].reduce((sum, count) => sum + count, 0);
    const value = asBuffer(encodeAttr({ ...attr, nlink, parent: toIno(0n) }));
    const links = [...counts].map(([dir, count]): Words => {
      return ['HSET', keys.parents(ino), String(dir), String(count)];
    });
    return queuedOf([['SET', keys.attr(ino), value], ...links]);
  }

  #commandsOf(record: Exclude<LoadRecord, { kind: 'links' }>): QueuedCommand[] {
    const { keys } = this.#known();
    switch (record.kind) {
      case 'node':
        return queuedOf([['SET', keys.attr(record.ino), asBuffer(encodeAttr(record.attr))]]);
      case 'edge':
        return [this.#edgeCommand(record)];
      case 'symlink':
        return queuedOf([['SET', keys.symlink(record.ino), asBuffer(record.target)]]);
      case 'xattr': {
        const { ino, name, value } = record;
        return queuedOf([['HSET', keys.xattrs(ino), asBuffer(name), asBuffer(value)]]);
      }
      case 'chunk':
        return queuedOf(pushes(keys.chunk(record.ino, record.index), record.records));
      case 'stats': {
        const { length, space, inodes } = record.stats;
        const field = String(record.dir);
        return queuedOf([
          ['HSET', keys.dirDataLength, field, String(length)],
          ['HSET', keys.dirUsedSpace, field, String(space)],
          ['HSET', keys.dirUsedInodes, field, String(inodes)],
        ]);
      }
      case 'acl': {
        this.#aclMaxId = Math.max(this.#aclMaxId, record.id);
        const rule = asBuffer(encodeAclRule(record.rule));
        return queuedOf([['HSET', keys.acl, String(record.id), rule]]);
      }
      case 'reference': {
        const field = keys.sliceField(record.id, record.size);
        // What is not there is one reference.
        return record.isFirst ? [] : queuedOf([['HINCRBY', keys.sliceRef, field, '1']]);
      }
      case 'deleted': {
        const { ino, length, seconds } = record;
        return queuedOf([['ZADD', keys.delfiles, String(seconds), `${ino}:${length}`]]);
      }
      case 'dirQuota': {
        const { dirQuota, dirQuotaUsedSpace, dirQuotaUsedInodes } = keys;
        const hashes = [dirQuota, dirQuotaUsedSpace, dirQuotaUsedInodes] as const;
        return queuedOf(quotaWords(hashes, String(record.dir), record.quota));
      }
      case 'ownerQuota': {
        const hashes = ownerQuotaKeys(keys, record.owner);
        return queuedOf(quotaWords(hashes, String(record.id), record.quota));
      }
    }
  }

  #edgeCommand({ dir, name, edge }: Extract<LoadRecord, { kind: 'edge' }>): QueuedCommand {
    const value = asBuffer(encodeEdge(edge));
    return {
      words: ['HSET', this.#known().keys.directory(dir), asBuffer(name), value],
      told: (added) => {
        if (added === 1) return;
        const text = Buffer.from(name).toString('utf8');
        throw new MetaError('refused', `directory ${dir} has the name ${text} twice`);
      },
    };
  }
}

function queuedOf(commands: readonly Words[]): QueuedCommand[] {
  return commands.map((words) => ({ words, told: undefined }));
}

function pushes(key: string, records: Extract<LoadRecord, { kind: 'chunk' }>['records']): Words[] {
  const values = records.map((record) => asBuffer(encodeSliceRecords([record])));
  return Array.from({ length: Math.ceil(values.length / RECORDS_MAX) }, (_, batch) => [
    ...['RPUSH', key],
    ...values.slice(batch * RECORDS_MAX, (batch + 1) * RECORDS_MAX),
  ]);
}

function quotaWords(
  [limits, space, inodes]: readonly [string, string, string],
  field: string,
  quota: DirQuota,
): Words[] {
  return [
    ['HSET', limits, field, fromLimits(quota)],
    ['HSET', space, field, String(quota.usedBytes)],
    ['HSET', inodes, field, String(quota.usedInodes)],
  ];
}
