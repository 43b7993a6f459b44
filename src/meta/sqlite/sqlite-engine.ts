import type { SliceRecord } from '../../block/slice-record.ts';
import type { Attr } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import { AclCache } from '../acl-cache.ts';
import type { AclRule } from '../acl.ts';
import { type EngineContext, sessionExpirySeconds } from '../engine-context.ts';
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
import { decodeSessionInfo, encodeSessionInfo } from '../session-codec.ts';
import type { SessionInfo, SessionRecord } from '../session.ts';
import type { VolumeSetting } from '../setting.ts';
import type { MetaScans } from '../write/scans.ts';
import type { MetaTransactions } from '../write/transactions.ts';
import { SqliteLink } from './sqlite-link.ts';
import { SqliteScans } from './sqlite-scans.ts';
import { SqliteTransactions } from './sqlite-transactions.ts';
import { parseSqliteUrl, type SqliteUrl } from './sqlite-url.ts';

/** A volume's metadata in a SQLite file, read by a thread so that nothing else ever waits for it. */
export class SqliteEngine implements WritableEngine {
  readonly displayUrl: string;
  readonly #url: SqliteUrl;
  readonly #context: EngineContext;
  readonly #acl = new AclCache();
  #link: SqliteLink | undefined;
  #transactions: SqliteTransactions | undefined;

  /**
   * @param url - see {@link parseSqliteUrl}
   * @throws MetaError `bad-url`
   */
  constructor(url: string, context: EngineContext) {
    this.displayUrl = url;
    this.#url = parseSqliteUrl(url);
    this.#context = context;
  }

  get scans(): MetaScans {
    return new SqliteScans(this.#open());
  }

  get transactions(): MetaTransactions {
    if (this.#link !== undefined && this.#transactions !== undefined) return this.#transactions;
    throw new MetaError('unavailable', 'the engine is not started');
  }

  async start(signal: AbortSignal = new AbortController().signal): Promise<void> {
    if (this.#link !== undefined) return;
    const link = new SqliteLink(this.#url, this.#context);
    try {
      await link.run('checkVolume', [], { target: this.#url.path, signal });
    } catch (error) {
      await link.close();
      throw error;
    }
    this.#link = link;
    this.#transactions = new SqliteTransactions(link, this.#context.clock);
  }

  async stop(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    await link?.close();
  }

  async loadSetting(signal: AbortSignal): Promise<VolumeSetting> {
    return parseSetting(await this.#open().run('loadSetting', [], { target: 'volume', signal }));
  }

  async lookup(parent: Ino, name: Uint8Array, signal: AbortSignal): Promise<Entry | undefined> {
    return this.#open().run('lookup', [parent, ownBytes(name)], { target: parent, signal });
  }

  async getattr(ino: Ino, signal: AbortSignal): Promise<Attr | undefined> {
    const [attr] = await this.#open().run('getattrs', [[ino]], { target: ino, signal });
    return attr;
  }

  async getattrs(inos: readonly Ino[], signal: AbortSignal): Promise<(Attr | undefined)[]> {
    return this.#open().run('getattrs', [inos], { target: `${inos.length} inodes`, signal });
  }

  async readdir(
    ino: Ino,
    options: { cursor: DirCursor | undefined; withAttrs: boolean },
    signal: AbortSignal,
  ): Promise<DirPage> {
    const { cursor, withAttrs } = options;
    const after = cursor === undefined ? undefined : ownBytes(Buffer.from(cursor, 'hex'));
    const page = await this.#open().run('readdir', [ino, after, withAttrs], {
      target: ino,
      signal,
    });
    const next = page.last === undefined ? undefined : Buffer.from(page.last).toString('hex');
    return { entries: page.entries, next: next as DirCursor | undefined };
  }

  async readlink(ino: Ino, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#open().run('readlink', [ino], { target: ino, signal });
  }

  async getxattr(ino: Ino, name: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#open().run('getxattr', [ino, ownBytes(name)], { target: ino, signal });
  }

  async listxattr(ino: Ino, signal: AbortSignal): Promise<Uint8Array[]> {
    return this.#open().run('listxattr', [ino], { target: ino, signal });
  }

  async aclRule(id: number, signal: AbortSignal): Promise<AclRule | undefined> {
    return this.#acl.get(id, () =>
      this.#open().run('aclRule', [id], { target: String(id), signal }),
    );
  }

  async readChunk(ino: Ino, index: number, signal: AbortSignal): Promise<SliceRecord[]> {
    const target = `${ino}_${index}`;
    return this.#open().run('readChunk', [ino, index], { target, signal });
  }

  async readFirstChunks(
    inos: readonly Ino[],
    signal: AbortSignal,
  ): Promise<(SliceRecord[] | undefined)[]> {
    const target = `${inos.length} inodes`;
    return this.#open().run('readFirstChunks', [inos], { target, signal });
  }

  async parents(ino: Ino, signal: AbortSignal): Promise<Ino[]> {
    return this.#open().run('parents', [ino], { target: ino, signal });
  }

  async usage(signal: AbortSignal): Promise<VolumeUsage> {
    return this.#open().run('usage', [], { target: 'volume', signal });
  }

  async dirQuota(ino: Ino, signal: AbortSignal): Promise<DirQuota | undefined> {
    return this.#open().run('dirQuota', [ino], { target: ino, signal });
  }

  async openSession(info: SessionInfo, signal: AbortSignal): Promise<bigint> {
    const args: [number, Uint8Array] = [this.#expiry(), encodeSessionInfo(info)];
    return this.#open().run('openSession', args, { target: info.HostName, signal });
  }

  async refreshSession(sid: bigint, info: SessionInfo, signal: AbortSignal): Promise<void> {
    const args: [bigint, number, Uint8Array] = [sid, this.#expiry(), encodeSessionInfo(info)];
    return this.#open().run('refreshSession', args, { target: sid, signal });
  }

  async closeSession(sid: bigint, signal: AbortSignal): Promise<void> {
    return this.#open().run('closeSession', [sid], { target: sid, signal });
  }

  async listSessions(signal: AbortSignal): Promise<SessionRecord[]> {
    const rows = await this.#open().run('listSessions', [], { target: 'volume', signal });
    return rows.map(({ sid, expire, info }) => ({
      sid,
      expiresAtMs: Number(expire) * 1000,
      info: info === undefined ? undefined : decodeSessionInfo(info),
    }));
  }

  #expiry(): number {
    return sessionExpirySeconds(this.#context.clock);
  }

  #open(): SqliteLink {
    if (this.#link === undefined) throw new MetaError('unavailable', 'the engine is not started');
    return this.#link;
  }
}

/** Cloning a view would clone all the memory that it is a part of. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}
