import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ViewSpec } from '../../src/block/view-spec.ts';
import { loadLibc } from '../../src/runtime/system/libc.ts';
import type { DirectoryDiskTier, DiskTierOptions } from '../../src/store/disk-tier.ts';
import type { MadeView } from '../../src/store/tier.ts';
import { systemViewCalls, type ViewCalls } from '../../src/store/views/view-calls.ts';
import { canMountDisks, type LoopDisk, makeLoopDisk } from '../servers/loop-disk.ts';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';
import {
  blockFiles,
  blockId,
  contentOf,
  makeDiskTier,
  openFiles,
  putBlock,
  readBlock,
  sameBytes,
  VOLUME,
} from '../store/disk-tier-blocks.ts';

const BLOCK = 1024 * 1024;
/** What a block takes with its file of checksums. */
const ROOM = BLOCK + 4096;
const never = new AbortController().signal;

describe('views of cached blocks', () => {
  let disk: LoopDisk;
  let calls: ViewCalls;

  beforeEach((context) => {
    if (!canMountDisks) context.skip('needs root, to mount an XFS');
  });

  beforeAll(async () => {
    if (!canMountDisks) return;
    disk = await makeLoopDisk('xfs', 320);
    const libc = loadLibc();
    if (libc === undefined) throw new Error('no libc by koffi');
    calls = systemViewCalls(libc);
  });

  afterAll(async () => {
    await disk?.stop();
  });

  async function start(options: Partial<DiskTierOptions> = {}, dirs?: readonly string[]) {
    const dir = await mkdtemp(join(disk.dir, 'cache-'));
    const made = makeDiskTier(dirs ?? [dir], { viewCalls: calls, ...options });
    await made.tier.start();
    onTestFinished(() => made.tier.stop());
    const { views } = made.tier;
    if (views === undefined) throw new Error('the tier makes views');
    return { ...made, views, dir };
  }

  /** Blocks with these numbers, one after the other. */
  function file(numbers: readonly number[], lengthBytes = numbers.length * BLOCK): ViewSpec {
    const parts = numbers.map((number, index) => ({
      ...{ at: index * BLOCK, id: blockId(number, BLOCK), blockBytes: BLOCK },
      inBlock: { offset: 0, length: Math.min(BLOCK, lengthBytes - index * BLOCK) },
    }));
    return { lengthBytes, parts };
  }

  async function cachedView(
    { tier, views }: Awaited<ReturnType<typeof start>>,
    numbers: readonly number[],
  ): Promise<MadeView> {
    for (const number of numbers) await putBlock(tier, number, BLOCK);
    const view = await views.make(file(numbers), never);
    if (typeof view === 'string') throw new Error(view);
    return view;
  }

  const bytesOf = (numbers: readonly number[]) =>
    Buffer.concat(numbers.map((number) => contentOf(number, BLOCK)));
  const shown = (view: MadeView) => new Uint8Array(readFileSync(`/proc/self/fd/${view.fd}`));
  const used = (tier: DirectoryDiskTier) => tier.usage().usedBytes;

  test('show the bytes, take no room and have no name', async () => {
    const made = await start();
    const view = await cachedView(made, [1, 2, 3]);
    expect(sameBytes(shown(view), bytesOf([1, 2, 3]))).toBe(true);
    expect([view.lengthBytes, view.standing.isGood]).toEqual([3 * BLOCK, true]);
    expect(used(made.tier)).toBe(3 * ROOM);
    expect(readdirSync(join(made.dir, VOLUME, 'cachemesh', 'tmp'))).toEqual([]);
    expect(made.metrics.value('blockcache_views')).toBe(1);
    await made.tier.stop();
    expect(view.standing.isGood).toBe(false);
    await waitUntil('the descriptor to be closed', () => viewsOpen() === 0);
    expect(made.metrics.value('blockcache_views_ended', { why: 'stop' })).toBe(1);
  });

  test('are cut where the file ends', async () => {
    const made = await start();
    for (const number of [1, 2]) await putBlock(made.tier, number, BLOCK);
    const view = (await made.views.make(file([1, 2], BLOCK + 777), never)) as MadeView;
    expect(sameBytes(shown(view), bytesOf([1, 2]).subarray(0, BLOCK + 777))).toBe(true);
  });

  test('end with the first block that goes, and give back its room', async () => {
    const made = await start();
    const view = await cachedView(made, [1, 2]);
    expect(viewsOpen()).toBe(1);
    made.tier.delete(blockId(1, BLOCK));
    expect(view.standing.isGood).toBe(false);
    await waitUntil('the descriptor to be closed', () => viewsOpen() === 0);
    expect([used(made.tier), made.metrics.value('blockcache_views')]).toEqual([ROOM, 0]);
  });

  test('are not made of a block that is missing, bad or elsewhere', async () => {
    const made = await start();
    expect(await made.views.make(file([1, 2]), never)).toBe('missing');
    await putBlock(made.tier, 1, BLOCK);
    expect(await made.views.make(file([1, 2]), never)).toBe('missing');
    await putBlock(made.tier, 2, BLOCK);
    const bad = blockFiles(made.dir).find((path) => path.endsWith(`/${blockId(2, BLOCK)}`)) ?? '';
    const bytes = readFileSync(bad);
    bytes[BLOCK - 5] = (bytes[BLOCK - 5] ?? 0) ^ 1;
    writeFileSync(bad, bytes);
    expect(await made.views.make(file([1, 2]), never)).toBe('missing');
    expect(made.metrics.value('blockcache_damaged')).toBe(1);
    expect([made.tier.has(blockId(2, BLOCK)), made.metrics.value('blockcache_views')]).toEqual([
      false,
      0,
    ]);
    await putBlock(made.tier, 2, BLOCK);
    const view = (await made.views.make(file([1, 2]), never)) as MadeView;
    expect(sameBytes(shown(view), bytesOf([1, 2]))).toBe(true);
  });

  test('that nobody reads go with the blocks that are evicted', async () => {
    const made = await start({ cacheBytes: 12 * ROOM });
    const view = await cachedView(made, [1, 2, 3]);
    for (let number = 10; number < 30; number += 1) await putBlock(made.tier, number, BLOCK);
    expect(view.standing.isGood).toBe(false);
    expect(made.metrics.value('blockcache_view_kept_bytes')).toBe(0);
    expect(used(made.tier)).toBeLessThanOrEqual(12 * ROOM);
  });

  test('that the kernel reads keep their blocks, and the room of those that go all the same', async () => {
    const made = await start({ cacheBytes: 12 * ROOM, eviction: 'lru' });
    const view = await cachedView(made, [1, 2, 3]);
    expect(view.hold()).toBe(true);
    for (let number = 10; number < 40; number += 1) await putBlock(made.tier, number, BLOCK);
    const there = [1, 2, 3].map((number) => made.tier.has(blockId(number, BLOCK)));
    expect([...there, view.standing.isGood]).toEqual([true, true, true, true]);
    // Evicted by somebody's command.
    const kernel = openSync(`/proc/self/fd/${view.fd}`, 'r');
    made.tier.delete(blockId(2, BLOCK));
    expect(view.standing.isGood).toBe(false);
    expect(made.metrics.value('blockcache_view_kept_bytes')).toBe(ROOM);
    for (let number = 40; number < 70; number += 1) await putBlock(made.tier, number, BLOCK);
    expect([1, 3].map((number) => made.tier.has(blockId(number, BLOCK)))).toEqual([true, true]);
    // What the tier counts and what is kept stay together below what may be taken.
    expect(used(made.tier) + ROOM).toBeLessThanOrEqual(12 * ROOM);
    expect(sameBytes(new Uint8Array(readFileSync(kernel)), bytesOf([1, 2, 3]))).toBe(true);
    closeSync(kernel);
    view.letGo();
    expect(made.metrics.value('blockcache_view_kept_bytes')).toBe(0);
    expect(made.metrics.value('blockcache_view_held_bytes')).toBe(0);
    for (let number = 70; number < 99; number += 1) await putBlock(made.tier, number, BLOCK);
    expect(made.tier.has(blockId(1, BLOCK))).toBe(false);
  });

  test('are held up to half of the cache', async () => {
    const made = await start({ cacheBytes: 12 * ROOM });
    const [one, two] = [await cachedView(made, [1, 2, 3, 4]), await cachedView(made, [4, 5, 6])];
    expect([one.hold(), two.hold(), one.hold()]).toEqual([true, false, true]);
    one.letGo();
    expect(two.hold()).toBe(true);
    two.letGo();
  });

  test('are no more than they may be: the one that was unused for longest goes', async () => {
    const made = await start({ openFilesMax: 24 });
    const views: MadeView[] = [];
    for (const number of [1, 2, 3]) views.push(await cachedView(made, [number]));
    views[0]?.used();
    expect(views[1]?.hold()).toBe(true);
    views.push(await cachedView(made, [4]));
    expect(views.map(({ standing }) => standing.isGood)).toEqual([true, true, false, true]);
    expect(made.metrics.value('blockcache_views_ended', { why: 'place' })).toBe(1);
    views[1]?.letGo();
  });

  test('a disk that does not answer makes none, and its descriptors stay until it does', async () => {
    const gate = Promise.withResolvers<void>();
    let isStuck = false;
    const stuck: ViewCalls = {
      ...calls,
      cloneRange: async (from, to) => {
        if (isStuck) await gate.promise;
        await calls.cloneRange(from, to);
      },
    };
    const made = await start({ viewCalls: stuck, ioTimeoutMs: 300 });
    for (const number of [1, 2]) await putBlock(made.tier, number, BLOCK);
    isStuck = true;
    expect(await made.views.make(file([1, 2]), never)).toBe('failed');
    expect(viewsOpen()).toBe(1);
    gate.resolve();
    await waitUntil('the descriptor to be closed', () => viewsOpen() === 0);
    expect(sameBytes(await readBlock(made.tier, 1, BLOCK), contentOf(1, BLOCK))).toBe(true);
  });

  test('on ext4, or with several directories, there are none, and it is said why', async () => {
    const other = await makeLoopDisk('ext4', 32);
    onTestFinished(() => other.stop());
    const dir = join(other.dir, 'cache');
    await mkdir(dir);
    const { tier, views } = await start({}, [dir]);
    expect(views.unfit).toBe(`the file system of ${dir} has no reflinks (ENOTSUP)`);
    await putBlock(tier, 1, BLOCK);
    expect(await views.make(file([1]), never)).toBe('unable');
    const two = await start({}, [await makeTempDir('one'), await makeTempDir('two')]);
    expect(two.views.unfit).toBe('it takes one cache directory, not 2');
    await tier.stop();
  });
});

/** How many views this process has a descriptor of. */
function viewsOpen(): number {
  return openFiles().filter((path) => path.includes('/view-')).length;
}
