import type { Attr } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import { abortReason } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import { decodeAttr } from '../attr-codec.ts';
import { decodeEdge, type Edge } from '../edge-codec.ts';
import { type DirCursor, type DirEntry, type DirPage, type Entry, MetaError } from '../engine.ts';
import { type LookupKeys, runLookupScript, type StoredEntry } from './lookup-script.ts';
import type { RedisClient } from './redis-connect.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';

/**
 * About so many names come with one HSCAN (the server may go over it while it grows a hash, and
 * gives small directories whole).
 */
const PAGE_NAMES = 2000;

/** Names in directories. */
export class RedisDirectories {
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #logger: Logger;
  #mayRunScripts = true;

  constructor(link: RedisLink, keys: RedisKeys, logger: Logger) {
    this.#link = link;
    this.#keys = keys;
    this.#logger = logger;
  }

  /** @see MetaReader.lookup */
  lookup(parent: Ino, name: Uint8Array, signal: AbortSignal): Promise<Entry | undefined> {
    const keys: LookupKeys = {
      directory: this.#keys.directory(parent),
      name: asBuffer(name),
      attrPrefix: `${this.#keys.prefix}i`,
    };
    return this.#link.run({ op: 'lookup', target: parent }, signal, (client) =>
      this.#find(client, keys),
    );
  }

  /** @see MetaReader.readdir */
  readdir(
    ino: Ino,
    options: { cursor: DirCursor | undefined; withAttrs: boolean },
    signal: AbortSignal,
  ): Promise<DirPage> {
    const key = this.#keys.directory(ino);
    return this.#link.run({ op: 'readdir', target: ino }, signal, async (client, call) => {
      let cursor: string = options.cursor ?? '0';
      for (;;) {
        if (call.isOver) throw abortReason(call.signal);
        const [next, fields] = await client.hscanBuffer(key, cursor, 'COUNT', PAGE_NAMES);
        cursor = next.toString();
        const isLast = cursor === '0';
        // Hashes that have shrunk have stretches without a name.
        if (fields.length === 0 && !isLast) continue;
        const entries = toEntries(ino, fields);
        return {
          entries: options.withAttrs ? await this.#withAttrs(client, entries) : entries,
          next: isLast ? undefined : (cursor as DirCursor),
        };
      }
    });
  }

  async #find(client: RedisClient, keys: LookupKeys): Promise<Entry | undefined> {
    let stored = await this.#read(client, keys);
    // A name without an inode may be one that is being removed, so it is worth a second look.
    if (stored !== undefined && stored.attr === undefined) stored = await this.#read(client, keys);
    if (stored === undefined) return undefined;
    const { ino } = toEdge(stored.edge, keys.directory);
    if (stored.attr !== undefined) return { ino, attr: toAttr(stored.attr, ino) };
    throw new MetaError('corrupt', `${keys.directory}: a name has inode ${ino}, which is missing`);
  }

  async #read(client: RedisClient, keys: LookupKeys): Promise<StoredEntry | undefined> {
    const scripted = this.#mayRunScripts ? await runLookupScript(client, keys) : 'denied';
    if (scripted === 'missing') return undefined;
    const isEntry = scripted !== 'denied' && scripted !== 'failed';
    if (isEntry && scripted.attrWasRead) return scripted;
    const edge = isEntry ? scripted.edge : await client.hgetBuffer(keys.directory, keys.name);
    if (scripted === 'denied') this.#noteDenied();
    if (edge === null) return undefined;
    const attrKey = this.#keys.attr(toEdge(edge, keys.directory).ino);
    const attr = (await client.getBuffer(attrKey)) ?? undefined;
    return { edge, attr, attrWasRead: true };
  }

  /** Called when plain commands worked where the script did not. */
  #noteDenied(): void {
    if (this.#mayRunScripts)
      this.#logger.warn({}, 'Redis runs no scripts: look-ups take two trips');
    this.#mayRunScripts = false;
  }

  async #withAttrs(client: RedisClient, entries: readonly DirEntry[]): Promise<DirEntry[]> {
    if (entries.length === 0) return [];
    const values = await client.mgetBuffer(entries.map(({ ino }) => this.#keys.attr(ino)));
    return entries.map((entry, index) => {
      const value = values[index] ?? undefined;
      return { ...entry, attr: value === undefined ? undefined : toAttr(value, entry.ino) };
    });
  }
}

/** @throws MetaError `corrupt` */
export function toAttr(value: Uint8Array, ino: Ino): Attr {
  const attr = decodeAttr(value);
  if (attr === undefined) throw new MetaError('corrupt', `the attribute of inode ${ino}`);
  return attr;
}

/** The library takes Buffers only. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function toEntries(ino: Ino, fields: readonly Buffer[]): DirEntry[] {
  const entries: DirEntry[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] as Buffer;
    // Clients of old left such names; nothing can be done with them.
    if (name.byteLength === 0) continue;
    entries.push({ name, ...toEdge(fields[at + 1] as Buffer, `d${ino}`), attr: undefined });
  }
  return entries;
}

function toEdge(value: Buffer, directory: string): Edge {
  const edge = decodeEdge(value);
  if (edge === undefined) throw new MetaError('corrupt', `${directory}: the value of a name`);
  return edge;
}
