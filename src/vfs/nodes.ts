import { LRUCache } from 'lru-cache';
import type { AttrReply, EntryReply, FuseContext, NegativeReply } from '../fuse/operations.ts';
import { type Attr, FileType } from '../posix/attr.ts';
import { FsError } from '../posix/errno.ts';
import type { Ino } from '../posix/ino.ts';
import { OpenAttrs } from './open-attrs.ts';
import { shownAttr, type Ticket } from './open-file.ts';
import { type OpenFiles } from './open-files.ts';
import type { RootMap } from './root-map.ts';
import type { ToldAttrs } from './told-attrs.ts';
import type { VfsParts } from './vfs-parts.ts';
import type { Coherence } from './coherent/coherence.ts';
import { isVirtual, VIRTUAL_TIMEOUT_MS, type VirtualNodes } from './virtual-nodes.ts';

/** Longest name. @see linux/limits.h NAME_MAX */
export const NAME_BYTES_MAX = 255;

/** Who changes a file all the time is believed about its attribute after so many questions. */
const REFRESHES_MAX = 5;

/** What nodes share with the other operations. */
export interface NodeParts extends Pick<VfsParts, 'meta' | 'options' | 'clock' | 'metrics'> {
  readonly root: RootMap;
  readonly virtual: VirtualNodes;
  readonly files: OpenFiles;
  readonly told: ToldAttrs;
  readonly coherence: Coherence;
}

/** How an inode was seen that the kernel is about to be told. */
export interface Seen {
  /** Of the request that brought the attribute. */
  readonly ticket: Ticket;
  /** How long ago that was answered. */
  readonly ageMs: number;
  /** When it was made; undefined when the kernel is to ask again soon in any case. */
  readonly askedMs?: number;
  /** The name by which it was found. */
  readonly at?: { readonly parent: Ino; readonly name: Uint8Array };
}

/** Names, attributes and symlinks. Inode numbers are the kernel's. */
export class Nodes {
  readonly #parts: NodeParts;
  readonly #symlinks: LRUCache<Ino, Uint8Array>;
  readonly #openAttrs: OpenAttrs;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    this.#symlinks = new LRUCache({ max: Math.max(1, parts.options.symlinksMax) });
    const ask = (ino: Ino, signal: AbortSignal) => this.attrOf(ino, signal);
    this.#openAttrs = new OpenAttrs({ ...parts, ask });
  }

  /** Symlink targets that are remembered. */
  get symlinks(): number {
    return this.#symlinks.size;
  }

  /** @throws FsError ENAMETOOLONG, EINVAL, ENOTDIR, ENOENT (of the directory itself) */
  async lookup(
    context: FuseContext,
    parent: Ino,
    name: Uint8Array,
  ): Promise<EntryReply | NegativeReply> {
    const { meta, root, virtual, files, options, clock } = this.#parts;
    if (name.byteLength > NAME_BYTES_MAX) throw new FsError('ENAMETOOLONG');
    if (name.byteLength === 0) throw new FsError('EINVAL', 'an empty name');
    const directory = root.toVolume(parent);
    const node = virtual.find(name, directory === root.root);
    if (node !== undefined) return virtualEntry(node.ino, node.attr);
    if (isDot(name)) return this.#entryOf(context, directory);
    if (isDotDot(name)) return this.#entryOf(context, await this.#parentOf(context, directory));
    const [ticket, askedMs] = [files.ticket(), clock.nowMs()];
    const entry = await meta.lookup(directory, name, context.signal);
    if (entry === undefined) return this.#negative(options.negativeEntryCacheMs);
    const at = { parent: directory, name };
    return this.entry(entry.ino, entry.attr, { ticket, ageMs: 0, askedMs, at });
  }

  /** @throws FsError ENOENT */
  async getattr(context: FuseContext, ino: Ino): Promise<AttrReply> {
    const volumeIno = this.#parts.root.toVolume(ino);
    const made = this.#parts.virtual.attrOf(volumeIno);
    if (made !== undefined) return { attr: made, attrTimeoutMs: VIRTUAL_TIMEOUT_MS };
    const askedMs = this.#parts.clock.nowMs();
    const isKnown = this.remembered(volumeIno) !== undefined;
    const { attr, isOld } = await this.#openAttrs.attrOf(volumeIno, context.signal);
    const attrTimeoutMs = this.#attrTimeout(volumeIno, isKnown || isOld ? undefined : askedMs);
    if (attr.type === FileType.file) this.#parts.told.note(volumeIno, attr, attrTimeoutMs);
    return { attr, attrTimeoutMs };
  }

  /**
   * The attribute of a volume's inode, from the metadata unless `--open-cache` allows otherwise.
   *
   * @throws FsError ENOENT
   */
  async attrOf(ino: Ino, signal: AbortSignal): Promise<Attr> {
    if (isVirtual(ino)) throw new FsError('ENOENT', `no inode ${ino}`);
    return this.remembered(ino) ?? this.refresh(ino, signal);
  }

  /**
   * The attribute of a volume's inode, from the metadata in any case.
   *
   * @throws FsError ENOENT
   */
  async refresh(ino: Ino, signal: AbortSignal): Promise<Attr> {
    const { meta, files } = this.#parts;
    for (let attempt = 1; ; attempt += 1) {
      const ticket = files.ticket();
      const attr = await meta.getattr(ino, signal);
      if (attr === undefined) {
        files.vanished(ino);
        throw new FsError('ENOENT', `no inode ${ino}`);
      }
      const isClear = !files.wasChangedAfter(ino, ticket);
      if (isClear || attempt === REFRESHES_MAX) return files.observe(ino, attr, ticket);
    }
  }

  /** The attribute of an opened file, while `--open-cache` lets it be used without asking. */
  remembered(ino: Ino): Attr | undefined {
    const { files, options, clock } = this.#parts;
    if (options.openCacheMs <= 0) return undefined;
    const file = files.find(ino);
    if (file === undefined || file.isDoubted) return undefined;
    return clock.nowMs() - file.checkedAtMs < options.openCacheMs ? shownAttr(file) : undefined;
  }

  /** A reply about a volume's inode that was just seen. */
  entry(ino: Ino, attr: Attr, seen: Seen): EntryReply {
    const { files, told, root } = this.#parts;
    const attrTimeoutMs = Math.max(0, this.#attrTimeout(ino, seen.askedMs) - seen.ageMs);
    let believed = attr;
    if (attr.type === FileType.file) {
      believed = files.observe(ino, attr, seen.ticket);
      told.note(ino, believed, attrTimeoutMs);
    }
    const entryTimeoutMs = Math.max(0, this.#entryTimeout(attr, seen) - seen.ageMs);
    return { ino: root.toKernel(ino), attr: believed, entryTimeoutMs, attrTimeoutMs };
  }

  /** How long the kernel believes an attribute that was asked for at `askedMs`, if that is known. */
  #attrTimeout(ino: Ino, askedMs: number | undefined): number {
    const { files, coherence, clock, options } = this.#parts;
    const { attrCacheMs } = options;
    // What is being written changes with each write.
    const mayHold = attrCacheMs > 0 && files.find(ino)?.pending === undefined;
    if (askedMs === undefined || !mayHold) return attrCacheMs;
    const isHeld = coherence.holdsAttr(ino, { ageMs: clock.nowMs() - askedMs });
    return isHeld ? Math.max(attrCacheMs, coherence.keepMs) : attrCacheMs;
  }

  #entryTimeout({ type }: Attr, { askedMs, at }: Seen): number {
    const { coherence, clock, options } = this.#parts;
    const { entryCacheMs, dirEntryCacheMs } = options;
    const usualMs = type === FileType.directory ? dirEntryCacheMs : entryCacheMs;
    if (askedMs === undefined || at === undefined || usualMs <= 0) return usualMs;
    const asked = { ageMs: clock.nowMs() - askedMs };
    const isHeld = coherence.holdsName(at.parent, at.name, asked);
    return isHeld ? Math.max(usualMs, coherence.keepMs) : usualMs;
  }

  /** @throws FsError ENOENT, EINVAL when it is no symlink, EIO when its target is lost */
  async readlink(context: FuseContext, ino: Ino): Promise<Uint8Array> {
    const volumeIno = this.#parts.root.toVolume(ino);
    const cached = this.#symlinks.get(volumeIno);
    if (cached !== undefined) return cached;
    const target = await this.#parts.meta.readlink(volumeIno, context.signal);
    if (target === undefined || target.byteLength === 0) {
      const { type } = await this.attrOf(volumeIno, context.signal);
      if (type !== FileType.symlink) throw new FsError('EINVAL', `inode ${ino} is no symlink`);
      throw new FsError('EIO', `symlink ${ino} has no target`);
    }
    this.#symlinks.set(volumeIno, target);
    return target;
  }

  /** The directory above a directory of the volume; the mounted root's is itself. */
  async #parentOf(context: FuseContext, directory: Ino): Promise<Ino> {
    const { root, virtual } = this.#parts;
    if (directory === root.root) return directory;
    const made = virtual.attrOf(directory);
    if (made !== undefined) return made.parent;
    const attr = await this.attrOf(directory, context.signal);
    if (attr.type !== FileType.directory) throw new FsError('ENOTDIR');
    return attr.parent;
  }

  async #entryOf(context: FuseContext, ino: Ino): Promise<EntryReply> {
    const made = this.#parts.virtual.attrOf(ino);
    if (made !== undefined) return virtualEntry(ino, made);
    const ticket = this.#parts.files.ticket();
    return this.entry(ino, await this.attrOf(ino, context.signal), { ticket, ageMs: 0 });
  }

  #negative(entryTimeoutMs: number): NegativeReply {
    return { ino: undefined, entryTimeoutMs };
  }
}

/** The reply about a virtual node. */
export function virtualEntry(ino: Ino, attr: Attr): EntryReply {
  const timeouts = { entryTimeoutMs: VIRTUAL_TIMEOUT_MS, attrTimeoutMs: VIRTUAL_TIMEOUT_MS };
  return { ino, attr, ...timeouts };
}

function isDot(name: Uint8Array): boolean {
  return name.byteLength === 1 && name[0] === 0x2e;
}

function isDotDot(name: Uint8Array): boolean {
  return name.byteLength === 2 && name[0] === 0x2e && name[1] === 0x2e;
}
