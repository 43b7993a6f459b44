import type { SliceRecord } from '../../block/slice-record.ts';
import type { Attr } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import { AclCache } from '../acl-cache.ts';
import type { AclRule } from '../acl.ts';
import type { EngineContext } from '../engine-context.ts';
import {
  type DirCursor,
  type DirPage,
  type DirQuota,
  type Entry,
  MetaError,
  type VolumeUsage,
} from '../engine.ts';
import type { WritableEngine } from '../writable-engine.ts';
import { parseSetting } from '../parse-setting.ts';
import type { Environment } from '../password.ts';
import type { SessionInfo, SessionRecord } from '../session.ts';
import type { VolumeSetting } from '../setting.ts';
import type { MetaScans } from '../write/scans.ts';
import type { MetaTransactions } from '../write/transactions.ts';
import { type ClientCache, parseClientCache } from './client-cache.ts';
import { RedisAcl } from './redis-acl.ts';
import { RedisChanges } from './redis-changes.ts';
import { RedisDirect } from './redis-direct.ts';
import { openRedis, poolBeside, redisOptions, type RedisOpenOptions } from './redis-open.ts';
import { RedisDirectories } from './redis-directory.ts';
import { RedisInodes } from './redis-inodes.ts';
import type { RedisKeys } from './redis-keys.ts';
import { type RedisLink, silenceMaxMs } from './redis-link.ts';
import { RedisScans } from './redis-scans.ts';
import { RedisSessions } from './redis-sessions.ts';
import { RedisTransactions } from './redis-transactions.ts';

/** What belongs to one connection. */
interface Opened {
  readonly link: RedisLink;
  readonly keys: RedisKeys;
  readonly directories: RedisDirectories;
  readonly inodes: RedisInodes;
  readonly sessions: RedisSessions;
  readonly transactions: RedisTransactions;
  readonly scans: RedisScans;
}

/** A volume's metadata in Redis. */
export class RedisEngine implements WritableEngine {
  readonly displayUrl: string;
  readonly #context: EngineContext;
  readonly #acl = new AclCache();
  readonly #options: RedisOpenOptions;
  readonly #clientCache: ClientCache | undefined;
  #opened: Opened | undefined;

  /**
   * @param url - see {@link parseRedisUrl}
   * @param env - where passwords may be: `REDIS_PASSWORD`, `META_PASSWORD`, `META_PASSWORD_FILE`,
   *   `SENTINEL_PASSWORD`
   * @throws MetaError `bad-url`
   */
  constructor(url: string, env: Environment, context: EngineContext) {
    this.#options = redisOptions(url, env, context);
    this.displayUrl = this.#options.url.display;
    this.#context = context;
    this.#clientCache = parseClientCache(this.#options.url.query);
  }

  get direct(): RedisDirect | undefined {
    const { url, password, sentinelPassword, context } = this.#options;
    // A prefix: the server turned out to be a member of a cluster.
    if (this.#opened?.keys.prefix !== '' || !RedisDirect.isPossible(url)) return undefined;
    const silenceMs = silenceMaxMs(context);
    return new RedisDirect(url, { password, sentinelPassword, silenceMaxMs: silenceMs });
  }

  get changes(): RedisChanges | undefined {
    const { url, password, context } = this.#options;
    const cache = this.#clientCache;
    if (this.#opened === undefined || cache === undefined) return undefined;
    const { keys, sessions } = this.#opened;
    // A prefix: the server turned out to be a member of a cluster.
    if (keys.prefix !== '' || !RedisChanges.isPossible(url)) return undefined;
    const countMounts = (signal: AbortSignal) => sessions.count(signal);
    const options = { url, password, keys, context, countMounts };
    return new RedisChanges({ ...options, silenceMaxMs: silenceMaxMs(context) }, cache);
  }

  get scans(): MetaScans {
    return this.#open().scans;
  }

  get transactions(): MetaTransactions {
    return this.#open().transactions;
  }

  async start(signal: AbortSignal = new AbortController().signal): Promise<void> {
    if (this.#opened !== undefined) return;
    const opened = await openRedis(this.#options, signal);
    const { link, keys } = opened;
    const { context } = this.#options;
    const pool = poolBeside(opened, this.#options);
    const acl = new RedisAcl(keys);
    this.#opened = {
      link,
      keys,
      directories: new RedisDirectories(link, keys, this.#context.logger),
      inodes: new RedisInodes(link, keys),
      sessions: new RedisSessions(link, keys, this.#context.clock),
      scans: new RedisScans(link, keys),
      transactions: new RedisTransactions({ link, pool, keys, acl, context }),
    };
  }

  async stop(): Promise<void> {
    this.#opened?.transactions.close();
    this.#opened?.link.close();
    this.#opened = undefined;
  }

  async loadSetting(signal: AbortSignal): Promise<VolumeSetting> {
    const { link, keys } = this.#open();
    const name = { op: 'loadSetting', target: keys.setting };
    const bytes = await link.run(name, signal, (client) => client.getBuffer(keys.setting));
    if (bytes === null || bytes.byteLength === 0) {
      throw new MetaError('no-volume', 'the database holds no volume');
    }
    return parseSetting(bytes);
  }

  async lookup(parent: Ino, name: Uint8Array, signal: AbortSignal): Promise<Entry | undefined> {
    return this.#open().directories.lookup(parent, name, signal);
  }

  async getattr(ino: Ino, signal: AbortSignal): Promise<Attr | undefined> {
    return this.#open().inodes.getattr(ino, signal);
  }

  async getattrs(inos: readonly Ino[], signal: AbortSignal): Promise<(Attr | undefined)[]> {
    return this.#open().inodes.getattrs(inos, signal);
  }

  async readdir(
    ino: Ino,
    options: { cursor: DirCursor | undefined; withAttrs: boolean },
    signal: AbortSignal,
  ): Promise<DirPage> {
    return this.#open().directories.readdir(ino, options, signal);
  }

  async readlink(ino: Ino, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#open().inodes.readlink(ino, signal);
  }

  async getxattr(ino: Ino, name: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#open().inodes.getxattr(ino, name, signal);
  }

  async listxattr(ino: Ino, signal: AbortSignal): Promise<Uint8Array[]> {
    return this.#open().inodes.listxattr(ino, signal);
  }

  async aclRule(id: number, signal: AbortSignal): Promise<AclRule | undefined> {
    return this.#acl.get(id, () => this.#open().inodes.aclRule(id, signal));
  }

  async readChunk(ino: Ino, index: number, signal: AbortSignal): Promise<SliceRecord[]> {
    return this.#open().inodes.readChunk(ino, index, signal);
  }

  async readFirstChunks(
    inos: readonly Ino[],
    signal: AbortSignal,
  ): Promise<(SliceRecord[] | undefined)[]> {
    return this.#open().inodes.readFirstChunks(inos, signal);
  }

  async parents(ino: Ino, signal: AbortSignal): Promise<Ino[]> {
    return this.#open().inodes.parents(ino, signal);
  }

  async usage(signal: AbortSignal): Promise<VolumeUsage> {
    return this.#open().inodes.usage(signal);
  }

  async dirQuota(ino: Ino, signal: AbortSignal): Promise<DirQuota | undefined> {
    return this.#open().inodes.dirQuota(ino, signal);
  }

  async openSession(info: SessionInfo, signal: AbortSignal): Promise<bigint> {
    return this.#open().sessions.openSession(info, signal);
  }

  async refreshSession(sid: bigint, info: SessionInfo, signal: AbortSignal): Promise<void> {
    return this.#open().sessions.refreshSession(sid, info, signal);
  }

  async closeSession(sid: bigint, signal: AbortSignal): Promise<void> {
    return this.#open().sessions.closeSession(sid, signal);
  }

  async listSessions(signal: AbortSignal): Promise<SessionRecord[]> {
    return this.#open().sessions.listSessions(signal);
  }

  #open(): Opened {
    if (this.#opened === undefined) throw new MetaError('unavailable', 'the engine is not started');
    return this.#opened;
  }
}
