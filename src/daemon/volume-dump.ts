import { CHUNK_BYTES } from '../block/geometry.ts';
import type { AclRule } from '../meta/acl.ts';
import { allXattrs, type Xattr } from '../meta/all-xattrs.ts';
import type { DirEntry } from '../meta/engine.ts';
import { REMOVED } from '../meta/secrets.ts';
import type { WritableEngine } from '../meta/writable-engine.ts';
import { directoryEntries } from '../meta/write/directory-entries.ts';
import { type Attr, FileType } from '../posix/attr.ts';
import { type Ino, ROOT_INO, TRASH_INO } from '../posix/ino.ts';
import { goJson } from '../vfs/internal/control-message.ts';
import { dumpText } from './dump-text.ts';

/** What a {@link VolumeDump} is made of. */
export interface VolumeDumpParts {
  readonly meta: WritableEngine;
  /** The setting keeps the secrets of the object store. The key for data encryption always stays. */
  readonly keepSecretKey: boolean;
  readonly skipTrash: boolean;
  /** The tree to dump; the trash and the limits of users and groups belong to the whole volume. */
  readonly root: Ino;
  /** Unix time. */
  readonly nowSeconds: number;
  /** Called with the number of files and directories that were written. */
  readonly onDumped: (count: number) => void;
  readonly signal: AbortSignal;
}

/** Files whose metadata is asked for at once. */
const BATCH = 64;
const DELETED_MAX = Number.MAX_SAFE_INTEGER;
const INDENT = '  ';
const SECRETS = ['SecretKey', 'SessionToken'] as const;
const TYPE_NAMES: Readonly<Record<FileType, string>> = {
  [FileType.file]: 'regular',
  [FileType.directory]: 'directory',
  [FileType.symlink]: 'symlink',
  [FileType.fifo]: 'fifo',
  [FileType.blockDevice]: 'blockdev',
  [FileType.charDevice]: 'chardev',
  [FileType.socket]: 'socket',
};

/**
 * A volume's metadata in the JSON of `juicefs dump`, piece by piece. Memory is bounded by the names of
 * the directories on one path. Not a snapshot: what is changed meanwhile is in it, or not.
 */
export class VolumeDump {
  readonly #parts: VolumeDumpParts;
  #count = 0;

  constructor(parts: VolumeDumpParts) {
    this.#parts = parts;
  }

  /** @throws MetaError */
  async *text(): AsyncGenerator<string, void, undefined> {
    const { root, skipTrash } = this.#parts;
    const isWhole = root === ROOT_INO;
    const head = goJson(await this.#head(isWhole), INDENT.length);
    // Without its end, which comes behind the trees.
    yield `${head.slice(0, -'\n}'.length)},`;
    yield* this.#tree('FSTree', root);
    if (isWhole && !skipTrash && (await this.#attr(TRASH_INO)) !== undefined) {
      yield ',';
      yield* this.#tree('Trash', TRASH_INO);
    }
    yield '\n}\n';
  }

  async #head(isWhole: boolean) {
    const { meta, signal, nowSeconds } = this.#parts;
    const { scans } = meta;
    const counters = await scans.counters(signal);
    const deleted = await scans.deletedFiles(nowSeconds, DELETED_MAX, signal);
    const quotas = await scans.dirQuotas(signal);
    const limits = (all: readonly (readonly [bigint | number, Limits])[]) =>
      Object.fromEntries(
        all.map(([key, { maxBytes, maxInodes }]) => [
          String(key),
          { maxSpace: maxBytes, maxInodes },
        ]),
      );
    const owners = async (kind: 'user' | 'group') => {
      const found = isWhole ? await scans.ownerQuotas(kind, signal) : [];
      // Of all others only the usage is kept, which is counted anew.
      const limited = found.filter(
        ({ quota }) => quota.maxBytes !== -1n || quota.maxInodes !== -1n,
      );
      return limited.length === 0 ? undefined : limits(limited.map(({ id, quota }) => [id, quota]));
    };
    return {
      Setting: await this.#setting(),
      Counters: {
        ...{ usedSpace: counters.usedBytes, usedInodes: counters.inodes },
        ...{ nextInodes: counters.nextInode, nextChunk: counters.nextChunk },
        ...{ nextSession: counters.nextSession, nextTrash: counters.nextTrash },
      },
      Sustained: await this.#sustained(),
      // Whoever loads it deletes their data an hour after that.
      DelFiles: deleted.map(({ ino, length }) => ({ inode: ino, length, expire: nowSeconds })),
      Quotas: quotas.length === 0 ? undefined : limits(quotas.map((at) => [at.dir, at.quota])),
      UserQuotas: await owners('user'),
      GroupQuotas: await owners('group'),
    };
  }

  /** As stored, with secrets in plain text or removed. */
  async #setting(): Promise<Record<string, unknown>> {
    const { meta, signal, keepSecretKey } = this.#parts;
    const { raw, secretKey, sessionToken, encryptKeyPem } = await meta.loadSetting(signal);
    const { KeyEncrypted: _, ...fields } = raw;
    const plain = { SecretKey: secretKey, SessionToken: sessionToken };
    const secrets = SECRETS.filter((name) => plain[name] !== '').map(
      (name) => [name, keepSecretKey ? plain[name] : REMOVED] as const,
    );
    const key = encryptKeyPem === undefined ? {} : { EncryptKey: encryptKeyPem };
    return { ...fields, ...Object.fromEntries(secrets), ...key };
  }

  async #sustained() {
    const { meta, signal } = this.#parts;
    const all: { sid: bigint; inodes: Ino[] }[] = [];
    for (const { sid } of await meta.listSessions(signal)) {
      const inodes = await meta.scans.sustained(sid, signal);
      if (inodes.length > 0) all.push({ sid, inodes });
    }
    return all;
  }

  async *#tree(name: string, ino: Ino): AsyncGenerator<string, void, undefined> {
    const attr = await this.#attr(ino);
    if (attr !== undefined) yield* this.#directory({ name, ino, attr }, 1);
  }

  async *#directory(
    { name, ino, attr }: { name: string; ino: Ino; attr: Attr },
    depth: number,
  ): AsyncGenerator<string, void, undefined> {
    const pad = INDENT.repeat(depth);
    const fields = await this.#fields(ino, attr);
    yield `\n${pad}"${name}": {${[...fields, '"entries": {'].map(at(depth + 1)).join(',')}`;
    this.#parts.onDumped((this.#count += 1));
    let isFirst = true;
    for await (const batch of this.#batches(ino)) {
      const texts = batch.map(async (entry) =>
        entry.type === FileType.directory ? undefined : await this.#file(entry, depth + 2),
      );
      // All are asked for at once; they are written in turn.
      const written = await Promise.all(texts);
      for (const [index, entry] of batch.entries()) {
        if (entry.attr === undefined) continue;
        yield isFirst ? '' : ',';
        isFirst = false;
        const text = written[index];
        if (text !== undefined) yield text;
        else {
          const inside = { name: dumpText(entry.name), ino: entry.ino, attr: entry.attr };
          yield* this.#directory(inside, depth + 2);
        }
      }
    }
    yield `\n${pad}${INDENT}}\n${pad}}`;
  }

  async #file({ name, ino, attr }: DirEntry, depth: number): Promise<string | undefined> {
    if (attr === undefined) return undefined;
    const fields = await this.#fields(ino, attr);
    this.#parts.onDumped((this.#count += 1));
    const pad = INDENT.repeat(depth);
    return `\n${pad}"${dumpText(name)}": {${fields.map(at(depth + 1)).join(',')}\n${pad}}`;
  }

  async *#batches(dir: Ino): AsyncGenerator<DirEntry[], void, undefined> {
    const { meta, signal } = this.#parts;
    let batch: DirEntry[] = [];
    const how = { dir, withAttrs: true, unique: true };
    for await (const entry of directoryEntries(meta, how, signal)) {
      // The page that it stands in is gone when it is used.
      batch.push({ ...entry, name: Uint8Array.from(entry.name) });
      if (batch.length < BATCH) continue;
      yield batch;
      batch = [];
    }
    yield batch;
  }

  /** The attribute comes first: whoever loads it needs the inode for all else. */
  async #fields(ino: Ino, attr: Attr): Promise<string[]> {
    const { meta, signal } = this.#parts;
    const fields = [`"attr": ${goJson(attrOf(ino, attr))}`];
    if (attr.type === FileType.symlink) {
      const target = await meta.readlink(ino, signal);
      if (target !== undefined) fields.push(`"symlink": "${dumpText(target)}"`);
    }
    const xattrs = (await allXattrs(meta, ino, signal)).map(xattrOf);
    if (xattrs.length > 0) fields.push(`"xattrs": ${goJson(xattrs)}`);
    for (const [name, id] of [
      ['posix_acl_access', attr.accessAclId],
      ['posix_acl_default', attr.defaultAclId],
    ] as const) {
      const rule = id === 0 ? undefined : await meta.aclRule(id, signal);
      if (rule !== undefined) fields.push(`"${name}": ${goJson(aclOf(rule))}`);
    }
    const chunks = attr.type === FileType.file ? await this.#chunks(ino, attr.length) : [];
    if (chunks.length > 0) fields.push(`"chunks": ${goJson(chunks)}`);
    return fields;
  }

  async #chunks(ino: Ino, length: bigint) {
    const { meta, signal } = this.#parts;
    if (length === 0n) return [];
    // Of a short file there is one, which need not be looked for.
    const indexes =
      length <= BigInt(CHUNK_BYTES) ? [0] : await meta.scans.chunkIndexes({ ino, length }, signal);
    const chunks: { index: number; slices: unknown[] }[] = [];
    for (const index of indexes.toSorted((a, b) => a - b)) {
      if (BigInt(index) * BigInt(CHUNK_BYTES) >= length) break;
      const records = await meta.readChunk(ino, index, signal);
      const slices = records.map(({ pos, sliceId, size, off, len }) => ({
        ...{ id: sliceId, pos: pos || undefined, size, off: off || undefined, len },
      }));
      if (slices.length > 0) chunks.push({ index, slices });
    }
    return chunks;
  }

  #attr(ino: Ino): Promise<Attr | undefined> {
    const { meta, signal } = this.#parts;
    return meta.getattr(ino, signal);
  }
}

type Limits = { readonly maxBytes: bigint; readonly maxInodes: bigint };

/** On a line of its own. */
function at(depth: number): (field: string) => string {
  return (field) => `\n${INDENT.repeat(depth)}${field}`;
}

/** What is 0 is left out where the original client does so. */
function attrOf(ino: Ino, attr: Attr) {
  const { atime, mtime, ctime } = attr;
  return {
    ...{ inode: ino, flags: attr.flags || undefined, type: TYPE_NAMES[attr.type] },
    ...{ mode: attr.mode, uid: attr.uid, gid: attr.gid },
    ...{ atime: atime.seconds, mtime: mtime.seconds, ctime: ctime.seconds },
    ...{ atimensec: atime.nanoseconds || undefined, mtimensec: mtime.nanoseconds || undefined },
    ...{ ctimensec: ctime.nanoseconds || undefined, nlink: attr.nlink },
    ...{ length: attr.type === FileType.file ? attr.length : 0, rdev: attr.rdev || undefined },
    tier: attr.tier || undefined,
  };
}

function xattrOf({ name, value }: Xattr) {
  return { name: Buffer.from(name).toString('utf8'), value: dumpText(value) };
}

function aclOf({ owner, group, other, mask, users, groups }: AclRule) {
  // Go writes a list of nothing so.
  const list = (names: AclRule['users']) => (names.length === 0 ? null : names);
  return { owner, group, other, mask, users: list(users), groups: list(groups) };
}
