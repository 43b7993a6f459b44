import { decodeSliceRecords, type SliceRecord } from '../../block/slice-record.ts';
import type { Attr } from '../../posix/attr.ts';
import { type Ino, toIno } from '../../posix/ino.ts';
import { decodeAclRule } from '../acl-codec.ts';
import type { AclRule } from '../acl.ts';
import { type DirQuota, MetaError, type VolumeUsage } from '../engine.ts';
import { asBuffer, toAttr } from './redis-directory.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { toInteger, toQuota } from './redis-values.ts';

/** Keys per MGET: one command must not keep the server from others for long. */
const KEYS_PER_MGET = 4096;
const SLICE_BYTES = 24;

/** Everything that is stored for one inode, or for the volume as a whole. */
export class RedisInodes {
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;

  constructor(link: RedisLink, keys: RedisKeys) {
    this.#link = link;
    this.#keys = keys;
  }

  /** @see MetaReader.getattr */
  async getattr(ino: Ino, signal: AbortSignal): Promise<Attr | undefined> {
    const key = this.#keys.attr(ino);
    const name = { op: 'getattr', target: ino };
    const value = await this.#link.run(name, signal, (client) => client.getBuffer(key));
    return value === null ? undefined : toAttr(value, ino);
  }

  /** @see MetaReader.getattrs */
  getattrs(inos: readonly Ino[], signal: AbortSignal): Promise<(Attr | undefined)[]> {
    const name = { op: 'getattrs', target: `${inos.length} inodes` };
    return this.#link.run(name, signal, async (client) => {
      const parts: Promise<(Buffer | null)[]>[] = [];
      for (let at = 0; at < inos.length; at += KEYS_PER_MGET) {
        const keys = inos.slice(at, at + KEYS_PER_MGET).map((ino) => this.#keys.attr(ino));
        parts.push(client.mgetBuffer(keys));
      }
      const values = (await Promise.all(parts)).flat();
      return inos.map((ino, index) => {
        const value = values[index] ?? undefined;
        return value === undefined ? undefined : toAttr(value, ino);
      });
    });
  }

  /** @see MetaReader.readlink */
  async readlink(ino: Ino, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const key = this.#keys.symlink(ino);
    const name = { op: 'readlink', target: ino };
    return (await this.#link.run(name, signal, (client) => client.getBuffer(key))) ?? undefined;
  }

  /** @see MetaReader.getxattr */
  async getxattr(
    ino: Ino,
    xattr: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const key = this.#keys.xattrs(ino);
    const name = { op: 'getxattr', target: ino };
    const value = await this.#link.run(name, signal, (client) =>
      client.hgetBuffer(key, asBuffer(xattr)),
    );
    return value ?? undefined;
  }

  /** @see MetaReader.listxattr */
  listxattr(ino: Ino, signal: AbortSignal): Promise<Uint8Array[]> {
    const key = this.#keys.xattrs(ino);
    const name = { op: 'listxattr', target: ino };
    return this.#link.run(name, signal, (client) => client.hkeysBuffer(key));
  }

  /** @see MetaReader.aclRule; not cached */
  async aclRule(id: number, signal: AbortSignal): Promise<AclRule | undefined> {
    const name = { op: 'aclRule', target: String(id) };
    const value = await this.#link.run(name, signal, (client) =>
      client.hgetBuffer(this.#keys.acl, String(id)),
    );
    if (value === null) return undefined;
    const rule = decodeAclRule(value);
    if (rule === undefined) throw new MetaError('corrupt', `the ACL rule ${id}`);
    return rule;
  }

  /** @see MetaReader.readChunk */
  async readChunk(ino: Ino, index: number, signal: AbortSignal): Promise<SliceRecord[]> {
    const key = this.#keys.chunk(ino, index);
    const name = { op: 'readChunk', target: `${ino}_${index}` };
    const values = await this.#link.run(name, signal, (client) => client.lrangeBuffer(key, 0, -1));
    const records = toRecords(values);
    if (records === undefined) throw new MetaError('corrupt', `the slice list ${key}`);
    return records;
  }

  /** @see MetaReader.readFirstChunks */
  async readFirstChunks(
    inos: readonly Ino[],
    signal: AbortSignal,
  ): Promise<(SliceRecord[] | undefined)[]> {
    const name = { op: 'readFirstChunks', target: `${inos.length} inodes` };
    const lists = await this.#link.run(name, signal, (client) =>
      Promise.all(inos.map((ino) => client.lrangeBuffer(this.#keys.chunk(ino, 0), 0, -1))),
    );
    return lists.map(toRecords);
  }

  /** @see MetaReader.parents */
  async parents(ino: Ino, signal: AbortSignal): Promise<Ino[]> {
    const key = this.#keys.parents(ino);
    const name = { op: 'parents', target: ino };
    const counts = await this.#link.run(name, signal, (client) => client.hgetall(key));
    return Object.entries(counts)
      .filter(([, count]) => toInteger(count, key) > 0n)
      .map(([parent]) => toIno(toInteger(parent, key)));
  }

  /** @see MetaReader.usage */
  async usage(signal: AbortSignal): Promise<VolumeUsage> {
    const { usedSpace, totalInodes } = this.#keys;
    const name = { op: 'usage', target: 'volume' };
    const [used, inodes] = await this.#link.run(name, signal, (client) =>
      client.mget(usedSpace, totalInodes),
    );
    return {
      usedBytes: toInteger(used ?? '0', usedSpace),
      inodes: toInteger(inodes ?? '0', totalInodes),
    };
  }

  /** @see MetaReader.dirQuota */
  async dirQuota(ino: Ino, signal: AbortSignal): Promise<DirQuota | undefined> {
    const { dirQuota, dirQuotaUsedSpace, dirQuotaUsedInodes } = this.#keys;
    const field = String(ino);
    const name = { op: 'dirQuota', target: ino };
    const [limits, space, inodes] = await this.#link.run(name, signal, (client) =>
      Promise.all([
        client.hgetBuffer(dirQuota, field),
        client.hget(dirQuotaUsedSpace, field),
        client.hget(dirQuotaUsedInodes, field),
      ]),
    );
    if (limits === null) return undefined;
    const used = toInteger(space ?? '0', dirQuotaUsedSpace);
    return toQuota(limits, used, toInteger(inodes ?? '0', dirQuotaUsedInodes));
  }
}

function toRecords(values: readonly Buffer[]): SliceRecord[] | undefined {
  const isWhole = values.every((value) => value.byteLength === SLICE_BYTES);
  return isWhole ? decodeSliceRecords(Buffer.concat(values)) : undefined;
}
