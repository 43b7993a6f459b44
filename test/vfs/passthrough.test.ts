import assert from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import { blockIdOf } from '../../src/block/block-key.ts';
import type { CachedFile } from '../../src/mesh/loader.ts';
import type { FsError } from '../../src/posix/errno.ts';
import { type Ino, ROOT_INO, toIno } from '../../src/posix/ino.ts';
import { O_DIRECT } from '../../src/posix/open-flags.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import type { FileVersion } from '../../src/vfs/file-version.ts';
import { type OpenFile } from '../../src/vfs/open-file.ts';
import { OpenFiles } from '../../src/vfs/open-files.ts';
import { Passthrough, type ThroughHandle } from '../../src/vfs/passthrough.ts';
import { PlanCache } from '../../src/vfs/plan-cache.ts';
import { RootMap } from '../../src/vfs/root-map.ts';
import { seededRandom } from '../servers/damage.ts';
import { attrOf } from './fake-meta.ts';
import { ManualClock } from './manual-clock.ts';

const BLOCK_BYTES = 4096;
const LENGTH = 1000;
const RDONLY = 0;
const RDWR = 2;

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
interface Handle {
  readonly node: Ino;
  readonly file: OpenFile;
  readonly opened: FileVersion;
  readonly through: ThroughHandle | undefined;
  readonly keepCache: boolean;
  /** What the file contained when it was opened. */
  readonly content: number;
}

/** Files that change, blocks that come and go, and a kernel that complains. */
class World {
  readonly clock = new ManualClock();
  readonly metrics = memoryMetrics();
  readonly root = new RootMap(ROOT_INO);
  readonly files: OpenFiles;
  readonly plans: PlanCache;
  readonly passthrough: Passthrough;
  readonly nodes = new Map<Ino, KernelNode>();
  /** By inode: the slice that it consists of. */
  readonly contents = new Map<Ino, number>();
  readonly #cached = new Map<string, CachedFile & { standing: { isGood: boolean } }>();
  /** By number of the kernel's: the block. */
  readonly backing = new Map<number, number>();
  /** Opens by another thread that nobody here has heard of. */
  readonly foreign: Handle[] = [];
  readonly adopted: Handle[] = [];
  #lastId = 0;
  #lastSlice = 0;

  constructor(options: { limit?: number; bytesMax?: number } = {}) {
    const { clock, metrics, root } = this;
    this.files = new OpenFiles({
      limit: options.limit ?? 100,
      clock,
      onEnd: (version) => this.plans.dropAll(version),
    });
    const meta = {} as ConstructorParameters<typeof PlanCache>[0]['meta'];
    this.plans = new PlanCache({ meta, clock, piecesMax: 1000, timeoutMs: 1 });
    this.passthrough = new Passthrough({
      ...{ root, files: this.files, plans: this.plans, clock, metrics, logger: silentLogger },
      ...{ blockBytes: BLOCK_BYTES, bytesMax: options.bytesMax ?? 1e9 },
      cached: { cachedFile: (key) => this.#cached.get(blockIdOf(key)) },
      catchUp: () => this.catchUp(),
    });
    this.passthrough.attach({
      open: (fd, lengthBytes) => {
        assert.equal(lengthBytes, LENGTH);
        this.#lastId += 1;
        this.backing.set(this.#lastId, fd);
        return this.#lastId;
      },
      close: (id) => assert(this.backing.delete(id), `${id} was closed before`),
    });
  }

  /** Gives a file new bytes, as another mount does. */
  change(ino: Ino): void {
    this.#lastSlice += 1;
    this.contents.set(ino, this.#lastSlice);
  }

  /** The block that a file consists of is cached from now on, in the file with its number. */
  cache(ino: Ino): void {
    const slice = this.contents.get(ino) as number;
    const id = blockIdOf({ sliceId: BigInt(slice), index: 0, sizeBytes: LENGTH });
    this.#cached.set(id, { fd: slice, lengthBytes: LENGTH, standing: { isGood: true } });
  }

  evict(ino: Ino): void {
    const slice = BigInt(this.contents.get(ino) as number);
    const id = blockIdOf({ sliceId: slice, index: 0, sizeBytes: LENGTH });
    const file = this.#cached.get(id);
    if (file !== undefined) file.standing.isGood = false;
    this.#cached.delete(id);
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
    return attrOf({ mtime: time, ctime: time, length: BigInt(LENGTH) });
  }

  #plan(version: FileVersion, content: number): void {
    const piece = { pos: 0, sliceId: BigInt(content), size: LENGTH, off: 0, len: LENGTH };
    this.plans.put(version, 0, [piece]);
  }
}

/** open(2), perhaps without a look-up: once more after ESTALE, and not a third time. */
function openName(world: World, ino: Ino, flags: number, isForeign: () => boolean): Handle {
  const name = `${ino}/${isForeign()}`;
  try {
    const remembered = isForeign() ? world.remembered.get(name) : undefined;
    return world.open(remembered ?? world.lookup(ino, name, isForeign()), flags);
  } catch (error) {
    assert.equal((error as FsError).code, 'ESTALE');
    return world.open(world.lookup(ino, name, isForeign()), flags);
  }
}

const INO = toIno(7n);
const never = () => false;

function cachedFile(options?: ConstructorParameters<typeof World>[0]): World {
  const world = new World(options);
  world.change(INO);
  world.cache(INO);
  return world;
}

describe('a file that is one cached block', () => {
  test('is read by the kernel itself, from one file for all handles', () => {
    const world = cachedFile();
    const [one, two] = [openName(world, INO, RDONLY, never), openName(world, INO, RDONLY, never)];
    for (const handle of [one, two]) world.take(handle);
    expect(one.through?.backing.id).toBe(two.through?.backing.id);
    for (const handle of [one, two]) world.release(handle);
    expect(world.backing.size).toBe(0);
    expect(world.count('through')).toBe(2);
  });

  test('is opened under another number by who writes, and the ordinary way for a minute', () => {
    const world = cachedFile();
    const old = openName(world, INO, RDONLY, never);
    const writer = openName(world, INO, RDWR, never);
    expect([writer.node === INO, writer.through]).toEqual([false, undefined]);
    expect(world.root.toVolume(writer.node)).toBe(INO);
    world.release(writer);
    expect(openName(world, INO, RDONLY, never).through).toBeUndefined();
    world.release(old);
    world.clock.advance(60_000);
    const late = openName(world, INO, RDONLY, never);
    expect(late.node).toBe(writer.node);
  });

  test('gets its own number back when nobody has it open', () => {
    const world = cachedFile();
    const old = openName(world, INO, RDONLY, never);
    const writer = openName(world, INO, RDWR, never);
    world.release(old);
    world.release(writer);
    world.clock.advance(60_000);
    world.release(openName(world, INO, RDWR, never));
    const { node, through } = openName(world, INO, RDONLY, never);
    expect([node, through !== undefined]).toEqual([INO, true]);
    expect(world.files.find(INO)?.decidedHere).toBe('opens');
  });

  test('is opened under another number when its block was evicted or is bad', () => {
    const world = cachedFile();
    openName(world, INO, RDONLY, never);
    world.evict(INO);
    const { node, through } = openName(world, INO, RDONLY, never);
    expect([node === INO, through]).toEqual([false, undefined]);
    expect(world.count('moved')).toBe(1);
  });

  test('is read past the page cache through us, with the same file behind', () => {
    const world = cachedFile();
    expect(openName(world, INO, O_DIRECT, never).through).toBeUndefined();
    const other = cachedFile();
    const plain = openName(other, INO, RDONLY, never);
    const direct = openName(other, INO, O_DIRECT, never);
    expect(direct.through).toMatchObject({ isDirect: true, backing: plain.through?.backing });
  });

  test('is opened in the ordinary way while somebody has it open so', () => {
    const world = cachedFile();
    const writer = openName(world, INO, RDWR, never);
    expect(openName(world, INO, RDONLY, never).through).toBeUndefined();
    expect(world.count('busy')).toBe(1);
    world.release(writer);
  });

  test('is not opened so when the kernel holds enough', () => {
    const world = cachedFile({ bytesMax: LENGTH });
    const other = toIno(8n);
    world.change(other);
    world.cache(other);
    expect(openName(world, INO, RDONLY, never).through).toBeDefined();
    expect(openName(world, other, RDONLY, never).through).toBeUndefined();
    expect(world.count('full')).toBe(1);
  });
});

const STEPS = 400;

/** One walk at random through opens, changes, evictions and closes. */
function walk(seed: number): World {
  const random = seededRandom(seed);
  const pick = (count: number) => Math.floor(random() * count);
  // Few are kept, so that files are forgotten, too.
  const world = new World({ limit: 2 });
  const inos = [2n, 3n, 4n].map(toIno);
  const [answers, open, closed]: [Handle[], Handle[], Handle[]] = [[], [], []];
  const takeOne = (list: Handle[]) => list.splice(pick(list.length), 1)[0];
  const flags = [RDONLY, RDONLY, RDONLY, RDONLY, RDWR, O_DIRECT];
  for (const ino of inos) world.change(ino);
  const doors: (() => void)[] = [
    () =>
      answers.push(
        openName(world, inos[pick(3)] as Ino, flags[pick(6)] as number, () => random() < 0.5),
      ),
    () => {
      const handle = world.openForeign(inos[pick(3)] as Ino);
      if (handle !== undefined) world.take(handle);
    },
    () =>
      answers.splice(0, 1 + pick(2)).forEach((handle) => (world.take(handle), open.push(handle))),
    () => open.push(...world.adopted.splice(0)),
    () => {
      const handle = takeOne(open);
      if (handle === undefined) return;
      world.drop(handle);
      closed.push(handle);
    },
    () => {
      const handle = takeOne(closed);
      if (handle !== undefined) world.release(handle);
    },
    () => random() < 0.3 && world.change(inos[pick(3)] as Ino),
    () => world.cache(inos[pick(3)] as Ino),
    () => random() < 0.3 && world.evict(inos[pick(3)] as Ino),
    () => world.catchUp(),
    () => random() < 0.2 && world.clock.advance(pick(3) * 31_000),
  ];
  for (let step = 0; step < STEPS; step += 1) doors[pick(doors.length)]?.();
  for (const handle of answers) world.take(handle);
  world.catchUp();
  for (const handle of [...answers, ...open, ...world.adopted]) {
    world.drop(handle);
    world.release(handle);
  }
  for (const handle of closed) world.release(handle);
  expect(world.backing.size).toBe(0);
  return world;
}

test('the kernel never refuses an open, keeps no old pages and gets the right file', () => {
  const totals = { through: 0, moved: 0, busy: 0, direct: 0 };
  for (let seed = 1; seed <= 300; seed += 1) {
    let world: World;
    try {
      world = walk(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    for (const name of Object.keys(totals) as (keyof typeof totals)[]) {
      totals[name] += world.count(name);
    }
  }
  expect(Math.min(...Object.values(totals))).toBeGreaterThan(50);
});
