import {
  existsSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LeaseKind } from '../../src/runtime/lease-table.ts';
import { CacheError } from '../../src/store/cache-error.ts';
import type { ChecksumMode } from '../../src/store/checksum-mode.ts';
import { CHECKSUM_MODES } from '../../src/store/checksum-mode.ts';
import type { DiskTierOptions } from '../../src/store/disk-tier.ts';
import type { HeldFile } from '../../src/store/tier.ts';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';
import {
  blockFiles,
  blockId,
  contentOf,
  sameBytes,
  makeDiskTier,
  openFiles,
  putBlock,
  readBlock,
  VOLUME,
} from './disk-tier-blocks.ts';

const SMALL = 60_000;
const LARGE = 1_500_001;
const never = new AbortController().signal;

async function startTier(directories: readonly string[], options: Partial<DiskTierOptions> = {}) {
  const made = makeDiskTier(directories, options);
  await made.tier.start();
  onTestFinished(() => made.tier.stop());
  return made;
}

/** Flips one bit of the only file that matches. */
function damage(directory: string, offset: number, matches = (path: string) => path !== ''): void {
  const [path] = blockFiles(directory).filter(matches);
  const bytes = readFileSync(path as string);
  bytes[offset] = (bytes[offset] as number) ^ 4;
  writeFileSync(path as string, bytes);
}

const isBlock = (path: string) => !path.endsWith('.crc');

describe('disk tier', () => {
  it.each([1, 4096, SMALL, 524_288, 524_289, LARGE])(
    'gives back a block of %i bytes',
    async (size) => {
      const dir = await makeTempDir('disk');
      const { tier, metrics } = await startTier([dir]);
      expect(await readBlock(tier, 1, size)).toBeUndefined();
      await putBlock(tier, 1, size);
      expect(tier.has(blockId(1, size))).toBe(true);
      expect(sameBytes(await readBlock(tier, 1, size), contentOf(1, size))).toBe(true);
      // The block's file is the block and nothing else.
      const file = blockFiles(dir).find(isBlock) as string;
      expect(sameBytes(new Uint8Array(readFileSync(file)), contentOf(1, size))).toBe(true);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(metrics.value('blockcache_hits')).toBe(1);
      expect(metrics.value('blockcache_miss')).toBe(1);
      expect(metrics.value('blockcache_hit_bytes')).toBe(size);
      expect(metrics.value('blockcache_writes')).toBe(1);
    },
  );

  it.each(CHECKSUM_MODES)('reads any range when checks are %s', async (checksums) => {
    const dir = await makeTempDir('disk');
    const { tier } = await startTier([dir], { checksums });
    await putBlock(tier, 1, LARGE);
    const content = contentOf(1, LARGE);
    const file = (await tier.open(blockId(1, LARGE), never)) as HeldFile;
    for (const [offset, length] of [
      [0, 1],
      [0, LARGE],
      [LARGE - 1, 1],
      [32_767, 2],
      [40_000, 700_000],
      [262_143, 262_146],
    ]) {
      const into = new Uint8Array(length as number);
      await file.read({ offset: offset as number, length: length as number }, into, never);
      expect(
        sameBytes(into, content.subarray(offset, (offset as number) + (length as number))),
      ).toBe(true);
    }
    file.release();
  });

  it('publishes a verified file for worker threads, and only then', async () => {
    const dir = await makeTempDir('disk');
    const { tier, leases } = await startTier([dir]);
    await putBlock(tier, 1, LARGE);
    const file = (await tier.open(blockId(1, LARGE), never)) as HeldFile;
    await waitUntil('lease', () => file.lease !== undefined);
    const lease = file.lease as NonNullable<typeof file.lease>;
    expect(leases.pin(lease.slot, lease.generation)).toBe(true);
    expect(leases.kind(lease.slot)).toBe(LeaseKind.file);
    expect(leases.lengthBytes(lease.slot)).toBe(LARGE);
    const fd = leases.location(lease.slot);
    file.release();
    tier.delete(blockId(1, LARGE));
    // The descriptor stays while it is pinned, although the file is gone.
    await waitUntil('removal', () => blockFiles(dir).length === 0);
    expect(sameBytes(new Uint8Array(readFileSync(fd)), contentOf(1, LARGE))).toBe(true);
    leases.unpin(lease.slot);
    await waitUntil('close', () => !existsSync(`/proc/self/fd/${fd}`) || !isOpenOn(fd, dir));
    expect(leases.pin(lease.slot, lease.generation)).toBe(false);
  });

  it.each(['full', 'shrink', 'extend'] as const)(
    'never leases when checks are %s',
    async (checksums) => {
      const { tier } = await startTier([await makeTempDir('disk')], { checksums });
      await putBlock(tier, 1, SMALL);
      const file = (await tier.open(blockId(1, SMALL), never)) as HeldFile;
      expect(file.lease).toBeUndefined();
      file.release();
    },
  );

  it('has after a restart what it had before, even while it still scans', async () => {
    const dir = await makeTempDir('disk');
    const first = makeDiskTier([dir]);
    await first.tier.start();
    for (let number = 0; number < 20; number += 1)
      await putBlock(first.tier, number, SMALL + number);
    await putBlock(first.tier, 99, LARGE);
    await first.tier.stop();
    const { tier } = await startTier([dir]);
    expect(sameBytes(await readBlock(tier, 99, LARGE), contentOf(99, LARGE))).toBe(true);
    for (let number = 0; number < 20; number += 1) {
      expect(
        sameBytes(await readBlock(tier, number, SMALL + number), contentOf(number, SMALL + number)),
      ).toBe(true);
    }
    await tier.scanned();
    expect(tier.usage().blocks).toBe(21);
    expect(tier.usage()).toEqual({
      ...first.tier.usage(),
      capacityBytes: tier.usage().capacityBytes,
    });
  });

  it('removes what a dead daemon left unfinished, but not what another one may be writing', async () => {
    const dir = await makeTempDir('disk');
    const first = makeDiskTier([dir]);
    await first.tier.start();
    await putBlock(first.tier, 1, LARGE);
    await first.tier.stop();
    const temp = join(dir, VOLUME, 'cachemesh', 'tmp');
    const old = new Date(Date.now() - 120_000);
    for (const name of ['old', 'young']) writeFileSync(join(temp, name), 'x');
    utimesSync(join(temp, 'old'), old, old);
    const block = blockFiles(dir).find(isBlock) as string;
    const sums = `${block}.crc`;
    utimesSync(sums, old, old);
    await rm(block);
    const { tier } = await startTier([dir]);
    await tier.scanned();
    expect(existsSync(join(temp, 'old'))).toBe(false);
    expect(existsSync(join(temp, 'young'))).toBe(true);
    expect(existsSync(sums)).toBe(false);
    expect(tier.usage().blocks).toBe(0);
  });

  it('leaves everything alone that is not its own', async () => {
    const dir = await makeTempDir('disk');
    const { tier } = await startTier([dir], { cacheBytes: 200_000 });
    const foreign = join(dir, VOLUME, 'raw');
    writeFileSync(foreign, 'x');
    for (let number = 0; number < 10; number += 1) await putBlock(tier, number, SMALL);
    expect(readFileSync(foreign, 'utf8')).toBe('x');
  });

  it('stays within its size', async () => {
    const dir = await makeTempDir('disk');
    const { tier, metrics } = await startTier([dir], { cacheBytes: 500_000 });
    // A scan that still runs may find a file between its eviction and its removal: evicted twice.
    await tier.scanned();
    for (let number = 0; number < 40; number += 1) {
      await putBlock(tier, number, SMALL);
      expect(tier.usage().usedBytes).toBeLessThanOrEqual(500_000);
    }
    expect(tier.usage().blocks).toBe(8);
    expect(metrics.value('blockcache_evicts')).toBe(32);
    await waitUntil('removals', () => blockFiles(dir).length === 8);
    await tier.stop();
    const smaller = await startTier([dir], { cacheBytes: 200_000 });
    await smaller.tier.scanned();
    expect(smaller.tier.usage().blocks).toBe(3);
  });

  it('drops and counts what does not fit into the queue, and ends each put once', async () => {
    const { tier, metrics } = await startTier([await makeTempDir('disk')], {
      queueBytesMax: 150_000,
    });
    let done = 0;
    for (let number = 0; number < 10; number += 1) {
      tier.put(blockId(number, SMALL), contentOf(number, SMALL), () => {
        done += 1;
      });
    }
    await tier.flushed();
    expect(done).toBe(10);
    expect(tier.usage().blocks).toBe(2);
    expect(metrics.value('blockcache_drops')).toBe(8);
  });

  it('spreads blocks over its directories, and finds them when a directory is added', async () => {
    const dirs = [await makeTempDir('disk'), await makeTempDir('disk'), await makeTempDir('disk')];
    const first = makeDiskTier(dirs.slice(0, 2));
    await first.tier.start();
    for (let number = 0; number < 60; number += 1) await putBlock(first.tier, number, 1000);
    await first.tier.stop();
    const counts = dirs.slice(0, 2).map((dir) => blockFiles(dir).length);
    expect(Math.min(...counts)).toBeGreaterThan(10);
    const { tier } = await startTier(dirs);
    await tier.scanned();
    for (let number = 0; number < 60; number += 1) {
      expect(sameBytes(await readBlock(tier, number, 1000), contentOf(number, 1000))).toBe(true);
    }
  });

  it('keeps no more files open than it may', async () => {
    const dir = await makeTempDir('disk');
    const { tier } = await startTier([dir], {
      openFilesMax: 5,
      slots: { firstSlot: 0, slotCount: 3 },
    });
    for (let number = 0; number < 30; number += 1) await putBlock(tier, number, SMALL);
    for (let number = 0; number < 30; number += 1) {
      expect(sameBytes(await readBlock(tier, number, SMALL), contentOf(number, SMALL))).toBe(true);
    }
    await waitUntil('closing', () => openFilesBelow(dir) <= 5);
  });

  it('is empty and harmless without any directory', async () => {
    const { tier, metrics } = await startTier([]);
    let done = 0;
    tier.put(blockId(1, 10), new Uint8Array(10), () => {
      done += 1;
    });
    await tier.flushed();
    expect(done).toBe(1);
    expect(await tier.open(blockId(1, 10), never)).toBeUndefined();
    expect(metrics.value('blockcache_miss')).toBe(1);
  });
});

describe('damaged cache files', () => {
  const modes: readonly ChecksumMode[] = ['once', 'full', 'extend'];

  it.each(modes)('a flipped bit in a small block is found (%s)', async (checksums) => {
    const dir = await makeTempDir('disk');
    const { tier, metrics } = await startTier([dir], { checksums });
    await putBlock(tier, 1, SMALL);
    damage(dir, 40_000);
    expect(await readOrDamage(() => readBlock(tier, 1, SMALL))).toBe('gone');
    expect(tier.has(blockId(1, SMALL))).toBe(false);
    expect(metrics.value('blockcache_damaged')).toBe(1);
    await waitUntil('removal', () => blockFiles(dir).length === 0);
    await putBlock(tier, 1, SMALL);
    expect(sameBytes(await readBlock(tier, 1, SMALL), contentOf(1, SMALL))).toBe(true);
  });

  it.each([...modes, 'shrink' as const])(
    'a flipped bit in a large block is found (%s)',
    async (checksums) => {
      const dir = await makeTempDir('disk');
      const { tier } = await startTier([dir], { checksums });
      await putBlock(tier, 1, LARGE);
      damage(dir, LARGE - 1, isBlock);
      expect(await readOrDamage(() => readBlock(tier, 1, LARGE))).toBe('gone');
      expect(tier.has(blockId(1, LARGE))).toBe(false);
    },
  );

  it.each(modes)('a truncated block is found (%s)', async (checksums) => {
    for (const size of [SMALL, LARGE]) {
      const dir = await makeTempDir('disk');
      const { tier, metrics } = await startTier([dir], { checksums });
      await putBlock(tier, 1, size);
      truncateSync(blockFiles(dir).find(isBlock) as string, size - 1);
      expect(await readBlock(tier, 1, size)).toBeUndefined();
      expect(metrics.value('blockcache_damaged')).toBe(1);
    }
  });

  it('flipped bits in, a missing and a truncated file of checksums are found', async () => {
    const isSums = (path: string) => path.endsWith('.crc');
    const harms: ((dir: string) => void | Promise<void>)[] = [
      (dir) => damage(dir, 9, isSums),
      (dir) =>
        damage(dir, readFileSync(blockFiles(dir).find(isSums) as string).byteLength - 1, isSums),
      (dir) => truncateSync(blockFiles(dir).find(isSums) as string, 8),
      (dir) => truncateSync(blockFiles(dir).find(isSums) as string, 0),
      (dir) => rm(blockFiles(dir).find(isSums) as string),
    ];
    for (const harm of harms) {
      const dir = await makeTempDir('disk');
      const { tier, metrics } = await startTier([dir]);
      await putBlock(tier, 1, LARGE);
      await harm(dir);
      expect(await readBlock(tier, 1, LARGE)).toBeUndefined();
      expect(metrics.value('blockcache_damaged')).toBe(1);
    }
  });

  it('a block whose checksums are missing at the start is dropped', async () => {
    const dir = await makeTempDir('disk');
    const first = makeDiskTier([dir]);
    await first.tier.start();
    await putBlock(first.tier, 1, LARGE);
    await first.tier.stop();
    await rm(blockFiles(dir).find((path) => !isBlock(path)) as string);
    const { tier, metrics } = await startTier([dir]);
    await tier.scanned();
    expect(tier.has(blockId(1, LARGE))).toBe(false);
    expect(metrics.value('blockcache_damaged')).toBe(1);
    await waitUntil('removal', () => blockFiles(dir).length === 0);
  });

  it('good units of a damaged block are served until the damage is met, and no lease appears', async () => {
    const dir = await makeTempDir('disk');
    const { tier } = await startTier([dir]);
    await putBlock(tier, 1, LARGE);
    damage(dir, LARGE - 1, isBlock);
    const file = (await tier.open(blockId(1, LARGE), never)) as HeldFile;
    const into = new Uint8Array(1000);
    await file.read({ offset: 10, length: 1000 }, into, never);
    expect(sameBytes(into, contentOf(1, LARGE).subarray(10, 1010))).toBe(true);
    await waitUntil('discovery', () => !tier.has(blockId(1, LARGE)));
    expect(file.lease).toBeUndefined();
    await expect(
      file.read({ offset: LARGE - 10, length: 10 }, new Uint8Array(10), never),
    ).rejects.toBeInstanceOf(CacheError);
    file.release();
  });

  it('`none` serves what it finds', async () => {
    const dir = await makeTempDir('disk');
    const { tier } = await startTier([dir], { checksums: 'none' });
    await putBlock(tier, 1, SMALL);
    damage(dir, 100);
    const bytes = (await readBlock(tier, 1, SMALL)) as Uint8Array;
    expect(Buffer.compare(bytes, contentOf(1, SMALL))).not.toBe(0);
  });
});

async function readOrDamage(read: () => Promise<unknown>): Promise<unknown> {
  try {
    return (await read()) === undefined ? 'gone' : 'served';
  } catch (error) {
    if (error instanceof CacheError && error.code === 'damaged') return 'gone';
    throw error;
  }
}

function openFilesBelow(dir: string): number {
  return openFiles().filter((path) => path.startsWith(dir)).length;
}

function isOpenOn(fd: number, dir: string): boolean {
  return openFiles(fd).some((path) => path.startsWith(dir));
}
