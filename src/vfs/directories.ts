import {
  type DirEntryReply,
  type EntryReply,
  fileHandle,
  type FuseContext,
  handleOf,
  type OpenReply,
} from '../fuse/operations.ts';
import type { DirEntry } from '../meta/engine.ts';
import { FileType } from '../posix/attr.ts';
import { FsError } from '../posix/errno.ts';
import type { Ino } from '../posix/ino.ts';
import { DirListing, type ListedPage } from './dir-listing.ts';
import { HandleTable } from './handle-table.ts';
import { type NodeParts, type Nodes, virtualEntry } from './nodes.ts';
import { isVirtual } from './virtual-nodes.ts';

/** Attributes in a page may be this old, whatever the time-out, before the kernel has to ask. */
const ATTRS_OLD_MS = 1_000;
const encoder = new TextEncoder();

/** Open directories and their listings. */
export class Directories {
  readonly #parts: NodeParts;
  readonly #nodes: Nodes;
  readonly #handles: HandleTable<DirListing>;

  constructor(parts: NodeParts, nodes: Nodes) {
    this.#parts = parts;
    this.#nodes = nodes;
    this.#handles = new HandleTable(parts.options.handlesMax);
  }

  /** How many are open. */
  get size(): number {
    return this.#handles.size;
  }

  /** Makes no request: what is wrong shows when the directory is read. */
  opendir(ino: Ino): OpenReply {
    const { root, meta, files, clock, options } = this.#parts;
    const volumeIno = root.toVolume(ino);
    const listing = new DirListing({
      ino: volumeIno,
      meta,
      files,
      clock,
      head: (signal) => this.#head(volumeIno, signal),
      reply: (entry, page, plus) => this.#reply(entry, page, plus ? volumeIno : undefined),
    });
    const { readdirCache } = options;
    return {
      fh: fileHandle(0, this.#handles.add(listing)),
      keepCache: readdirCache,
      directIo: false,
      cacheDir: readdirCache,
    };
  }

  /** @throws FsError EBADF, ENOENT, ENOTDIR; what the engine throws */
  readdir(
    context: FuseContext,
    fh: bigint,
    options: { offset: bigint; plus: boolean },
    add: (entry: DirEntryReply) => boolean,
  ): Promise<void> {
    const listing = this.#handles.get(handleOf(fh));
    return listing.read({ ...options, signal: context.signal }, add);
  }

  releasedir(fh: bigint): void {
    this.#handles.remove(handleOf(fh));
  }

  async #head(ino: Ino, signal: AbortSignal): Promise<DirEntry[]> {
    const { root, virtual, options } = this.#parts;
    const attr = virtual.attrOf(ino) ?? (await this.#nodes.attrOf(ino, signal));
    if (attr.type !== FileType.directory) throw new FsError('ENOTDIR');
    const isRoot = ino === root.root;
    const head = [dots('.', ino), dots('..', isRoot ? ino : attr.parent)];
    if (!isRoot || options.hideInternal) return head;
    for (const node of virtual.listed()) {
      const { ino, attr: made } = node;
      head.push({ name: encoder.encode(node.name), ino, type: made.type, attr: made });
    }
    return head;
  }

  /** @param parent - the directory, when attributes are wanted */
  #reply(
    entry: DirEntry,
    page: ListedPage,
    parent: Ino | undefined,
  ): Omit<DirEntryReply, 'nextOffset'> {
    const { name, ino, type } = entry;
    return {
      name,
      ino: this.#parts.root.toKernel(ino),
      type,
      entry: parent === undefined ? undefined : this.#entry(entry, page, parent),
    };
  }

  /** `.` and `..` have no attribute here: the kernel does not want one. */
  #entry({ name, ino, attr }: DirEntry, page: ListedPage, parent: Ino): EntryReply | undefined {
    if (attr === undefined) return undefined;
    if (isVirtual(ino)) return virtualEntry(ino, attr);
    const { ticket, readAtMs: askedMs } = page;
    const ageMs = this.#parts.clock.nowMs() - askedMs;
    if (ageMs >= Math.max(ATTRS_OLD_MS, this.#parts.options.attrCacheMs)) return undefined;
    return this.#nodes.entry(ino, attr, { ticket, ageMs, askedMs, at: { parent, name } });
  }
}

function dots(name: string, ino: Ino): DirEntry {
  return { name: encoder.encode(name), ino, type: FileType.directory, attr: undefined };
}
