import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type FileCalls, systemFileCalls } from '../../src/store/file-calls.ts';
import type { HeldFile } from '../../src/store/tier.ts';
import { makeTempDir } from '../servers/temp.ts';
import {
  blockFiles,
  blockId,
  contentOf,
  makeDiskTier,
  putBlock,
  sameBytes,
} from './disk-tier-blocks.ts';

const SMALL = 60_000;
const ID = blockId(1, SMALL);
const never = new AbortController().signal;

/** A tier with one small block; `calls` are those that reading has made, in turn. */
async function tierWithBlock() {
  const dir = await makeTempDir('disk');
  const calls: string[] = [];
  const files: FileCalls = {
    ...systemFileCalls,
    open: (path, flags, mode) => {
      if (flags === 'r') calls.push('open');
      return systemFileCalls.open(path, flags, mode);
    },
    sizeOf: (fd) => {
      calls.push('size');
      return systemFileCalls.sizeOf(fd);
    },
    read: (fd, into, at) => {
      calls.push('read');
      return systemFileCalls.read(fd, into, at);
    },
  };
  const { tier, leases, metrics } = makeDiskTier([dir], { files });
  await tier.start();
  onTestFinished(() => tier.stop());
  await putBlock(tier, 1, SMALL);
  return { tier, leases, metrics, calls, path: blockFiles(dir)[0] as string };
}

async function readPart(file: HeldFile, offset: number, length: number): Promise<Uint8Array> {
  const into = new Uint8Array(length);
  await file.read({ offset, length }, into, never);
  return into;
}

describe('the first read of a small block', () => {
  test('opens, reads and checks it in one step, and leaves its lease', async () => {
    const { tier, leases, calls } = await tierWithBlock();
    const file = (await tier.open(ID, never, 'read')) as HeldFile;
    expect(file.lease).toBeUndefined();
    const part = await readPart(file, 100, 5000);
    expect(sameBytes(part, contentOf(1, SMALL).subarray(100, 5100))).toBe(true);
    expect(calls).toEqual(['open', 'read']);
    const lease = file.lease as NonNullable<typeof file.lease>;
    expect(leases.isCurrent(lease)).toBe(true);
    expect(leases.lengthBytes(lease.slot)).toBe(SMALL);
    file.release();
    const again = (await tier.open(ID, never, 'read')) as HeldFile;
    expect(again.lease).toEqual(lease);
    again.release();
    expect(calls).toEqual(['open', 'read']);
  });

  test('gives the lease without a read of our own to who opens it for that', async () => {
    const { tier, calls } = await tierWithBlock();
    const file = (await tier.open(ID, never)) as HeldFile;
    expect(file.lease).toBeDefined();
    file.release();
    expect(calls).toEqual(['open', 'read']);
  });

  const harms: readonly (readonly [string, (path: string) => void])[] = [
    ['has a flipped bit outside of what is read', flip],
    ['is shorter', (path) => truncateSync(path, SMALL - 1)],
    ['is empty', (path) => truncateSync(path, 0)],
    ['goes on behind the block', (path) => appendFileSync(path, 'x')],
  ];

  test.each(harms)('refuses a file that %s', async (_, harm) => {
    const { tier, metrics, path } = await tierWithBlock();
    harm(path);
    const file = (await tier.open(ID, never, 'read')) as HeldFile;
    await expect(readPart(file, 100, 5000)).rejects.toMatchObject({ code: 'damaged' });
    expect(file.lease).toBeUndefined();
    file.release();
    expect(tier.has(ID)).toBe(false);
    expect(metrics.value('blockcache_damaged')).toBe(1);
  });

  test.each(harms)('is not to be had by its lease when the file %s', async (_, harm) => {
    const { tier, metrics, path } = await tierWithBlock();
    harm(path);
    expect(await tier.open(ID, never)).toBeUndefined();
    expect(metrics.value('blockcache_damaged')).toBe(1);
  });

  test('of two at once both get right bytes', async () => {
    const { tier } = await tierWithBlock();
    const [one, two] = (await Promise.all([
      tier.open(ID, never, 'read'),
      tier.open(ID, never),
    ])) as [HeldFile, HeldFile];
    const parts = await Promise.all([readPart(one, 0, SMALL), readPart(two, 7, 40_000)]);
    expect(sameBytes(parts[0], contentOf(1, SMALL))).toBe(true);
    expect(sameBytes(parts[1], contentOf(1, SMALL).subarray(7, 40_007))).toBe(true);
    expect(one.lease).toEqual(two.lease);
    one.release();
    two.release();
  });
});

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[SMALL - 1] = (bytes[SMALL - 1] as number) ^ 4;
  writeFileSync(path, bytes);
}
