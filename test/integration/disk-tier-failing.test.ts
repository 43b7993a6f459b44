import { execFileSync } from 'node:child_process';
import { statfsSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeTempDir } from '../servers/temp.ts';
import {
  contentOf,
  sameBytes,
  makeDiskTier,
  putBlock,
  readBlock,
} from '../store/disk-tier-blocks.ts';

const isRoot = process.getuid?.() === 0 && process.platform === 'linux';
const SIZE = 60_000;
const MIB = 1024 * 1024;

async function mountTmpfs(sizeBytes: number): Promise<string> {
  const dir = await makeTempDir('tmpfs');
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', dir]);
  onTestFinished(() => void execFileSync('umount', ['-l', dir]));
  return dir;
}

describe.runIf(isRoot)('disk tier on a small file system (needs root for mount)', () => {
  it('evicts to keep the asked share free', async () => {
    const dir = await mountTmpfs(4 * MIB);
    const { tier, metrics } = makeDiskTier([dir], { freeSpaceRatio: 0.25 });
    onTestFinished(() => tier.stop());
    await tier.start();
    expect(tier.usage().capacityBytes).toBe(3 * MIB);
    for (let number = 0; number < 150; number += 1) await putBlock(tier, number, SIZE);
    expect(metrics.value('blockcache_io_errors')).toBe(0);
    expect(metrics.value('blockcache_evicts')).toBeGreaterThan(90);
    expect(sameBytes(await readBlock(tier, 149, SIZE), contentOf(149, SIZE))).toBe(true);
    const { bavail, blocks } = statfsSync(dir);
    expect(bavail / blocks).toBeGreaterThan(0.2);
  });

  it('makes room when something else fills the disk, and stays usable', async () => {
    const dir = await mountTmpfs(4 * MIB);
    const { tier } = makeDiskTier([dir], { freeSpaceRatio: 0.05 });
    onTestFinished(() => tier.stop());
    await tier.start();
    for (let number = 0; number < 50; number += 1) await putBlock(tier, number, SIZE);
    const { bavail, bsize } = statfsSync(dir);
    writeFileSync(join(dir, 'other'), Buffer.alloc(bavail * bsize));
    await putBlock(tier, 100, SIZE);
    expect(sameBytes(await readBlock(tier, 100, SIZE), contentOf(100, SIZE))).toBe(true);
  });

  it('drops a disk that has become read-only, and goes on with the other one', async () => {
    const bad = await mountTmpfs(4 * MIB);
    const good = await makeTempDir('disk');
    const { tier, metrics } = makeDiskTier([bad, good]);
    onTestFinished(() => tier.stop());
    await tier.start();
    await tier.scanned();
    execFileSync('mount', ['-o', 'remount,ro', bad]);
    for (let number = 0; number < 40; number += 1) await putBlock(tier, number, SIZE);
    expect(metrics.value('blockcache_io_errors')).toBeGreaterThanOrEqual(3);
    for (let number = 200; number < 220; number += 1) {
      await putBlock(tier, number, SIZE);
      expect(sameBytes(await readBlock(tier, number, SIZE), contentOf(number, SIZE))).toBe(true);
    }
  });
});

it('survives that its directory is removed, and does not make it again', async () => {
  const dir = await makeTempDir('disk');
  const { tier, metrics } = makeDiskTier([dir]);
  onTestFinished(() => tier.stop());
  await tier.start();
  await tier.scanned();
  await putBlock(tier, 1, SIZE);
  await rm(dir, { recursive: true });
  expect(await readBlock(tier, 1, SIZE)).toBeUndefined();
  for (let number = 2; number < 12; number += 1) await putBlock(tier, number, SIZE);
  expect(metrics.value('blockcache_io_errors')).toBe(3);
  expect(metrics.value('blockcache_drops')).toBe(10);
  expect(tier.usage()).toEqual({ blocks: 0, usedBytes: 0, capacityBytes: 0 });
  expect(() => statfsSync(dir)).toThrow('ENOENT');
});
