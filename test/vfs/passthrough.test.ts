import { describe, expect, test } from 'vitest';
import { type Ino, toIno } from '../../src/posix/ino.ts';
import { O_DIRECT } from '../../src/posix/open-flags.ts';
import type { OpenFile } from '../../src/vfs/open-file.ts';
import { seededRandom } from '../servers/damage.ts';
import { BIG, type Handle, LENGTH, openName, World } from './passthrough-world.ts';

const RDONLY = 0;
const RDWR = 2;
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

  test('is forgotten, too, when it was a warm-up that had it open last', () => {
    const world = cachedFile();
    const old = openName(world, INO, RDONLY, never);
    const writer = openName(world, INO, RDWR, never);
    const warming = world.files.reopen(INO);
    const { version } = warming;
    for (const handle of [old, writer]) world.release(handle);
    world.clock.advance(60_000);
    const other = toIno(8n);
    world.change(other);
    world.release(openName(world, other, RDWR, never));
    expect(world.root.toKernel(INO)).toBe(writer.node);
    world.files.close(warming, version);
    expect(world.root.toKernel(INO)).toBe(INO);
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

describe('a file of several blocks', () => {
  const bigFile = (options = {}) => cachedFile({ lengthBytes: BIG, ...options });
  /** The view that is being made comes to be. */
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  async function opened(world: World): Promise<Handle> {
    const handle = openName(world, INO, RDONLY, never);
    world.take(handle);
    await settle();
    return handle;
  }

  function close(world: World, handle: Handle): void {
    world.drop(handle);
    world.release(handle);
  }

  test('gets a view at its second open, which later opens have when nobody has it open otherwise', async () => {
    const world = bigFile();
    const handles = [await opened(world), await opened(world), await opened(world)];
    expect(handles.map(({ through }) => through)).toEqual([undefined, undefined, undefined]);
    expect(world.count('busy')).toBe(1);
    for (const handle of handles) close(world, handle);
    const handle = await opened(world);
    expect([handle.through !== undefined, world.claims]).toEqual([true, 1]);
    close(world, handle);
    expect([world.claims, world.backing.size]).toEqual([0, 0]);
  });

  test('gets none while a block is missing, and is looked at again two seconds later', async () => {
    const world = bigFile();
    world.evict(INO);
    const made = (outcome: string) =>
      world.metrics.value('fuse_passthrough_views_total', { outcome });
    for (let open = 0; open < 4; open += 1) close(world, await opened(world));
    expect([made('missing'), made('made')]).toEqual([1, 0]);
    world.cache(INO);
    world.clock.advance(2_000);
    close(world, await opened(world));
    expect([made('missing'), made('made')]).toEqual([1, 1]);
  });

  test('has its view no longer when it has changed or a block is gone', async () => {
    for (const end of ['change', 'evict'] as const) {
      const world = bigFile();
      for (let open = 0; open < 2; open += 1) close(world, await opened(world));
      const old = await opened(world);
      expect(old.through).toBeDefined();
      world[end](INO);
      const { node, through } = await opened(world);
      const found = [node === INO, through, world.count('moved')];
      expect([end, ...found]).toEqual([end, false, undefined, 1]);
    }
  });

  test('that changes while its view is made gets none', async () => {
    const world = bigFile();
    for (let open = 0; open < 2; open += 1) world.release(openName(world, INO, RDONLY, never));
    world.change(INO);
    world.release(openName(world, INO, RDONLY, never));
    await settle();
    expect(world.metrics.value('fuse_passthrough_views_total', { outcome: 'made' })).toBe(0);
    expect(world.views.of((world.files.find(INO) as OpenFile).version)).toBeUndefined();
  });
});

const STEPS = 400;

/** One walk at random through opens, changes, evictions and closes. */
async function walk(seed: number, lengthBytes: number): Promise<World> {
  const random = seededRandom(seed);
  const pick = (count: number) => Math.floor(random() * count);
  // Few are kept, so that files are forgotten, too. A view takes calm: nobody else has the file open.
  const [limit, openShare] = lengthBytes === BIG ? [3 - (seed % 2), 0.4] : [2, 1];
  const world = new World({ limit, lengthBytes });
  const inos = [2n, 3n, 4n].map(toIno);
  const [answers, open, closed]: [Handle[], Handle[], Handle[]] = [[], [], []];
  const takeOne = (list: Handle[]) => list.splice(pick(list.length), 1)[0];
  const flags = [RDONLY, RDONLY, RDONLY, RDONLY, RDWR, O_DIRECT];
  for (const ino of inos) world.change(ino);
  const doors: (() => void)[] = [
    () =>
      random() < openShare &&
      answers.push(
        openName(world, inos[pick(3)] as Ino, flags[pick(6)] as number, () => random() < 0.5),
      ),
    () => {
      if (random() > openShare) return;
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
    () => lengthBytes === BIG && world.pin(inos[pick(3)] as Ino),
    () => random() < 0.2 && world.clock.advance(pick(3) * 31_000),
  ];
  for (let step = 0; step < STEPS; step += 1) {
    doors[pick(doors.length)]?.();
    // Views come to be some turns after an open.
    if (lengthBytes === BIG && step % 4 === 0) await new Promise((done) => setImmediate(done));
  }
  for (const handle of answers) world.take(handle);
  world.catchUp();
  for (const handle of [...answers, ...open, ...world.adopted]) {
    world.drop(handle);
    world.release(handle);
  }
  for (const handle of closed) world.release(handle);
  expect([world.backing.size, world.claims]).toEqual([0, 0]);
  return world;
}

test.each([
  ['one block', LENGTH],
  ['three blocks', BIG],
])(
  '%s: the kernel never refuses an open, keeps no old pages and gets the right file',
  async (_, length) => {
    const totals = { through: 0, moved: 0, busy: 0, direct: 0 };
    for (let seed = 1; seed <= 600; seed += 1) {
      let world: World;
      try {
        world = await walk(seed, length);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
      for (const name of Object.keys(totals) as (keyof typeof totals)[]) {
        totals[name] += world.count(name);
      }
    }
    // O_DIRECT beside the kernel's own reading is rare.
    const rarest = Math.min(totals.through, totals.moved, totals.busy, 40 * totals.direct);
    expect(rarest >= 40 ? 'often enough' : totals).toBe('often enough');
  },
);
