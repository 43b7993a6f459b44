import type { SliceRecord } from '../../src/block/slice-record.ts';
import type { AclRule } from '../../src/meta/acl.ts';
import type {
  DirCursor,
  DirEntry,
  DirPage,
  DirQuota,
  Entry,
  MetaReader,
  VolumeUsage,
} from '../../src/meta/engine.ts';
import { type Attr, FileType } from '../../src/posix/attr.ts';
import { type Ino, ROOT_INO, toIno } from '../../src/posix/ino.ts';

/** The attribute of an empty file made at second 100. */
export function attrOf(changes: Partial<Attr> = {}): Attr {
  const time = { seconds: 100, nanoseconds: 0 };
  return {
    type: FileType.file,
    mode: 0o644,
    uid: 0,
    gid: 0,
    atime: time,
    mtime: time,
    ctime: time,
    nlink: 1,
    length: 0n,
    rdev: 0,
    parent: ROOT_INO,
    flags: 0,
    accessAclId: 0,
    defaultAclId: 0,
    tier: 0,
    ...changes,
  };
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Metadata in maps, which can be changed, delayed and made to fail between two requests. */
export class FakeMeta implements MetaReader {
  readonly attrs = new Map<Ino, Attr>([[ROOT_INO, attrOf({ type: FileType.directory })]]);
  readonly entries = new Map<Ino, { name: Uint8Array; ino: Ino }[]>([[ROOT_INO, []]]);
  readonly chunks = new Map<string, SliceRecord[]>();
  readonly links = new Map<Ino, Uint8Array>();
  readonly xattrs = new Map<Ino, Map<string, Uint8Array>>();
  readonly rules = new Map<number, AclRule>();
  readonly quotas = new Map<Ino, DirQuota>();
  /** Every call by name. */
  readonly calls: string[] = [];
  /** Called before each answer; may wait or throw. */
  before: (call: string, signal: AbortSignal) => Promise<void> = async () => undefined;
  pageEntries = 100;
  counters: VolumeUsage = { usedBytes: 0n, inodes: 0n };

  /** Adds a node to a directory. */
  add(parent: Ino, name: string | Uint8Array, ino: bigint, changes: Partial<Attr> = {}): Ino {
    const child = toIno(ino);
    this.attrs.set(child, attrOf({ parent, ...changes }));
    if (changes.type === FileType.directory) this.entries.set(child, []);
    this.entries
      .get(parent)
      ?.push({ name: typeof name === 'string' ? bytesOf(name) : name, ino: child });
    return child;
  }

  /** Writes again: another time, perhaps another length. */
  modify(ino: Ino, changes: Partial<Attr> = {}): void {
    const old = this.attrs.get(ino) ?? attrOf();
    const time = { seconds: old.mtime.seconds + 1, nanoseconds: 0 };
    this.attrs.set(ino, { ...old, mtime: time, ctime: time, ...changes });
  }

  count(call: string): number {
    return this.calls.filter((name) => name === call).length;
  }

  async lookup(parent: Ino, name: Uint8Array, signal: AbortSignal): Promise<Entry | undefined> {
    await this.#called('lookup', signal);
    const key = Buffer.from(name);
    const found = this.entries.get(parent)?.find((entry) => key.equals(entry.name));
    const attr = found && this.attrs.get(found.ino);
    return found && attr && { ino: found.ino, attr };
  }

  async getattr(ino: Ino, signal: AbortSignal): Promise<Attr | undefined> {
    const attr = this.attrs.get(ino);
    await this.#called('getattr', signal);
    return attr;
  }

  async getattrs(inos: readonly Ino[], signal: AbortSignal): Promise<(Attr | undefined)[]> {
    await this.#called('getattrs', signal);
    return inos.map((ino) => this.attrs.get(ino));
  }

  async readdir(
    ino: Ino,
    options: { cursor: DirCursor | undefined; withAttrs: boolean },
    signal: AbortSignal,
  ): Promise<DirPage> {
    await this.#called('readdir', signal);
    const all = this.entries.get(ino) ?? [];
    const from = Number(options.cursor ?? 0);
    const to = from + this.pageEntries;
    const entries = all.slice(from, to).map((entry): DirEntry => {
      const attr = this.attrs.get(entry.ino);
      const type = attr?.type ?? FileType.file;
      return { ...entry, type, attr: options.withAttrs ? attr : undefined };
    });
    return { entries, next: to < all.length ? (String(to) as DirCursor) : undefined };
  }

  async readlink(ino: Ino, signal: AbortSignal): Promise<Uint8Array | undefined> {
    await this.#called('readlink', signal);
    return this.links.get(ino);
  }

  async getxattr(ino: Ino, name: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
    await this.#called('getxattr', signal);
    return this.xattrs.get(ino)?.get(Buffer.from(name).toString('latin1'));
  }

  async listxattr(ino: Ino, signal: AbortSignal): Promise<Uint8Array[]> {
    await this.#called('listxattr', signal);
    return [...(this.xattrs.get(ino)?.keys() ?? [])].map((name) => Buffer.from(name, 'latin1'));
  }

  async aclRule(id: number, signal: AbortSignal): Promise<AclRule | undefined> {
    await this.#called('aclRule', signal);
    return this.rules.get(id);
  }

  async readChunk(ino: Ino, index: number, signal: AbortSignal): Promise<SliceRecord[]> {
    await this.#called('readChunk', signal);
    return this.chunks.get(`${ino}/${index}`) ?? [];
  }

  async readFirstChunks(
    inos: readonly Ino[],
    signal: AbortSignal,
  ): Promise<(SliceRecord[] | undefined)[]> {
    await this.#called('readFirstChunks', signal);
    return inos.map((ino) => this.chunks.get(`${ino}/0`) ?? []);
  }

  async parents(_ino: Ino, signal: AbortSignal): Promise<Ino[]> {
    await this.#called('parents', signal);
    return [ROOT_INO];
  }

  async usage(signal: AbortSignal): Promise<VolumeUsage> {
    await this.#called('usage', signal);
    return this.counters;
  }

  async dirQuota(ino: Ino, signal: AbortSignal): Promise<DirQuota | undefined> {
    await this.#called('dirQuota', signal);
    return this.quotas.get(ino);
  }

  async #called(call: string, signal: AbortSignal): Promise<void> {
    this.calls.push(call);
    await this.before(call, signal);
  }
}
