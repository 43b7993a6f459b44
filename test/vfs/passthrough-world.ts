import assert from 'node:assert/strict';
import type { CachedFile } from '../../src/mesh/loader.ts';
import type { FileView, ViewMaker } from '../../src/mesh/local-views.ts';
import type { FsError } from '../../src/posix/errno.ts';
import { type Ino, ROOT_INO } from '../../src/posix/ino.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import type { FileVersion } from '../../src/vfs/file-version.ts';
import { type OpenFile } from '../../src/vfs/open-file.ts';
import { OpenFiles } from '../../src/vfs/open-files.ts';
import { Passthrough, type ThroughHandle } from '../../src/vfs/passthrough.ts';
import { PlanCache } from '../../src/vfs/plan-cache.ts';
import { RootMap } from '../../src/vfs/root-map.ts';
import { FileViews } from '../../src/vfs/views/file-views.ts';
import { attrOf } from './fake-meta.ts';
import { ManualClock } from './manual-clock.ts';

const BLOCK_BYTES = 4096;
/** Length of a file that is one block. */
export const LENGTH = 1000;
/** Of one that consists of three. */
export const BIG = 2 * BLOCK_BYTES + LENGTH;

/** What the kernel knows under one number. @see fuse_file_io_open in fs/fuse/iomode.c */
interface KernelNode {
  plain: number;
  /** Handles by which it reads by itself, and what they all have. */
  through: number;
  backingId: number;
  /** The content of its pages. */
  pages: number | undefined;
}

/** A handle, or an open whose answer is on its way to the kernel. */
export interface Handle {
  readonly node: Ino;
  readonly file: OpenFile;
  readonly opened: FileVersion;
  readonly through: ThroughHandle | undefined;
  readonly keepCache: boolean;
  /** What the file contained when it was opened. */
  readonly content: number;
}

/** Files that change, blocks that come and go, and a kernel that complains. */
export class World {
  readonly clock = new ManualClock();
  readonly metrics = memoryMetrics();
  readonly root = new RootMap(ROOT_INO);
  readonly files: OpenFiles;
  readonly plans: PlanCache;
  readonly views: FileViews;
  readonly passthrough: Passthrough;
  readonly lengthBytes: number;
  readonly nodes = new Map<Ino, KernelNode>();
  /** By inode: the slice that it consists of. */
  readonly contents = new Map<Ino, number>();
  /** By slice. */
  readonly #cached = new Map<number, CachedFile & { standing: { isGood: boolean } }>();
  readonly #made = new Set<FileView & { standing: { isGood: boolean } }>();
  /** Views that the kernel has. */
  claims = 0;
  /** By number of the kernel's: the block. */
  readonly backing = new Map<number, number>();
  /** Opens by another thread that nobody here has heard of. */
  readonly foreign: Handle[] = [];
  readonly adopted: Handle[] = [];
  #lastId = 0;
  #lastSlice = 0;

  constructor(options: { limit?: number; bytesMax?: number; lengthBytes?: number } = {}) {
    const { clock, metrics, root } = this;
    this.lengthBytes = options.lengthBytes ?? LENGTH;
    this.files = new OpenFiles({
      limit: options.limit ?? 100,
      clock,
      onEnd: (version) => {
        this.plans.dropAll(version);
        this.views.ended(version);
      },
    });
    const meta = {} as ConstructorParameters<typeof PlanCache>[0]['meta'];
    this.plans = new PlanCache({ meta, clock, piecesMax: 1000, timeoutMs: 1 });
    const around = { plans: this.plans, clock, metrics, logger: silentLogger };
    this.views = new FileViews({ ...around, blockBytes: BLOCK_BYTES, maker: this.#maker() });
    this.passthrough = new Passthrough({
      ...{ root, files: this.files, plans: this.plans, clock, metrics, logger: silentLogger },
      ...{ blockBytes: BLOCK_BYTES, bytesMax: options.bytesMax ?? 1e9 },
      cached: { cachedFile: (key) => this.#cached.get(Number(key.sliceId)) },
      views: this.views,
      catchUp: () => this.catchUp(),
    });
    this.passthrough.attach({
      open: (fd, lengthBytes) => {
        assert.equal(lengthBytes, this.lengthBytes);
        this.#lastId += 1;
        this.backing.set(this.#lastId, fd);
        return this.#lastId;
      },
      close: (id) => assert(this.backing.delete(id), `${id} was closed before`),
    });
  }

  #maker(): ViewMaker {
    let last = 0;
    const make = (content: number): FileView => {
      const standing = { isGood: true };
      last += 1;
      const view = {
        ...{ name: `view ${last}`, fd: content, lengthBytes: this.lengthBytes, standing },
        claim: {
          hold: () => {
            assert(standing.isGood, 'a view that has ended is handed out');
            this.claims += 1;
            return true;
          },
          letGo: () => (this.claims -= 1),
        },
        used: () => undefined,
        end: () => {
          standing.isGood = false;
          this.#made.delete(view);
        },
      };
      this.#made.add(view);
      return view;
    };
    return {
      unfit: undefined,
      most: 100,
      written: async () => undefined,
      holds: (key) => this.#cached.has(Number(key.sliceId)),
      make: async ({ parts }) => {
        await Promise.resolve();
        const content = Number(parts[0]?.key.sliceId);
        return this.#cached.has(content) ? make(content) : 'missing';
      },
    };
  }

  /** Gives a file new bytes, as another mount does. */
  change(ino: Ino): void {
    this.#lastSlice += 1;
    this.contents.set(ino, this.#lastSlice);
  }

  /** The block that a file consists of is cached from now on, in the file with its number. */
  cache(ino: Ino): void {
    const fd = this.contents.get(ino) as number;
    this.#cached.set(fd, { fd, lengthBytes: this.lengthBytes, standing: { isGood: true } });
  }

  evict(ino: Ino): void {
    const slice = this.contents.get(ino) as number;
    const file = this.#cached.get(slice);
    if (file !== undefined) file.standing.isGood = false;
    this.#cached.delete(slice);
    for (const view of this.#made) if (view.fd === slice) view.standing.isGood = false;
  }

  /** A warm-up makes the view of a file, if it is known. */
  pin(ino: Ino): void {
    const file = this.files.find(ino);
    if (file === undefined) return;
    void this.views.make(file, new AbortController().signal).catch(() => undefined);
  }

  /** What the kernel remembers, by name; an inode has two. */
  readonly remembered = new Map<string, Ino>();

  /** LOOKUP. @param isForeign - answered by the other thread, if it may */
  lookup(ino: Ino, name: string, isForeign: boolean): Ino {
    const decided = this.files.find(ino)?.decidedHere ?? 'nothing';
    const node = isForeign && decided !== 'all' ? ino : this.root.toKernel(ino);
    this.remembered.set(name, node);
    return node;
  }

  /** OPEN, as Files does it. @throws FsError ESTALE */
  open(node: Ino, flags: number): Handle {
    const ino = this.root.toVolume(node);
    const content = this.contents.get(ino) as number;
    const file = this.files.open(ino, this.#attr(content), this.files.ticket());
    this.#plan(file.version, content);
    let through: ThroughHandle | undefined;
    try {
      through = this.passthrough.open(file, { node, flags });
    } catch (error) {
      this.files.close(file, file.version);
      throw error;
    }
    const { version } = file;
    const keepCache = version.opened && through === undefined;
    return { node, file, opened: version, through, keepCache, content };
  }

  /** OPEN by the other thread, as far as it may answer. */
  openForeign(node: Ino): Handle | undefined {
    const content = this.contents.get(node) as number;
    const file = this.files.find(node);
    if (file?.decidedHere !== 'nothing' || !file.version.matches(this.#attr(content))) return;
    const opened = file.version;
    const handle = { node, file, opened, through: undefined, keepCache: opened.opened, content };
    this.foreign.push(handle);
    return handle;
  }

  catchUp(): void {
    for (const handle of this.foreign.splice(0)) {
      const { file, opened } = this.files.adopt({
        ino: handle.file.ino,
        seen: { attr: this.#attr(handle.content), ticket: this.files.ticket() },
        fileId: handle.opened.fileId,
      });
      this.adopted.push({ ...handle, file, opened });
      this.passthrough.adopted(file);
    }
  }

  /** The kernel takes the answer to an open. */
  take(handle: Handle): void {
    const node = this.nodes.get(handle.node) ?? {
      ...{ plain: 0, through: 0, backingId: 0, pages: undefined },
    };
    this.nodes.set(handle.node, node);
    if (handle.through === undefined) {
      assert.equal(node.through, 0, 'EIO: the kernel reads this inode by itself');
      node.plain += 1;
      if (!handle.keepCache) node.pages = undefined;
      // What is read is what the file contains by now, as far as is known.
      node.pages ??= handle.file.attr.mtime.seconds;
      assert(node.pages >= handle.content, 'pages of an older content are kept');
      return;
    }
    const { id } = handle.through.backing;
    assert.equal(node.plain, 0, 'EIO: the inode is open in the ordinary way');
    if (node.through > 0) assert.equal(id, node.backingId, 'EIO: another backing file');
    assert.equal(this.backing.get(id), handle.content, 'the backing file');
    Object.assign(node, { through: node.through + 1, backingId: id, pages: undefined });
  }

  /** The kernel has closed a handle, and is about to tell. */
  drop({ node, through }: Handle): void {
    const known = this.nodes.get(node) as KernelNode;
    if (through === undefined) known.plain -= 1;
    else known.through -= 1;
  }

  /** RELEASE. */
  release({ file, opened, through }: Handle): void {
    this.files.markOpened(file, opened);
    this.files.close(file, opened);
    this.passthrough.closed(file, through);
  }

  count(outcome: string): number {
    return this.metrics.value('fuse_passthrough_opens_total', { outcome });
  }

  #attr(content: number) {
    const time = { seconds: content, nanoseconds: 0 };
    return attrOf({ mtime: time, ctime: time, length: BigInt(this.lengthBytes) });
  }

  #plan(version: FileVersion, content: number): void {
    const { lengthBytes } = this;
    const piece = { pos: 0, sliceId: BigInt(content), size: lengthBytes, off: 0, len: lengthBytes };
    this.plans.put(version, 0, [piece]);
  }
}

/** open(2), perhaps without a look-up: once more after ESTALE, and not a third time. */
export function openName(world: World, ino: Ino, flags: number, isForeign: () => boolean): Handle {
  const name = `${ino}/${isForeign()}`;
  try {
    const remembered = isForeign() ? world.remembered.get(name) : undefined;
    return world.open(remembered ?? world.lookup(ino, name, isForeign()), flags);
  } catch (error) {
    assert.equal((error as FsError).code, 'ESTALE');
    return world.open(world.lookup(ino, name, isForeign()), flags);
  }
}
