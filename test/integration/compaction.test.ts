import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WritableEngine } from '../../src/meta/writable-engine.ts';
import { toIno } from '../../src/posix/ino.ts';
import { testEngine } from '../contract/meta-engine-options.ts';
import { runCli } from '../servers/cli.ts';
import type { TestDaemon } from '../servers/daemons.ts';
import { formattedVolume } from '../servers/formatted-volume.ts';
import { hasStock, runStock, startStockMount } from '../servers/stock.ts';
import { startWriter, type WritableVolume } from '../servers/writable.ts';

const { signal } = new AbortController();
const FILE_BYTES = 9_000_000;

describe.each([
  ['redis', 0],
  ['sqlite', 1],
] as const)('chunks of many slices on %s, with %d days of trash', (kind, days) => {
  let volume: WritableVolume;
  let daemon: TestDaemon;
  let engine: WritableEngine;
  const shadow = Buffer.alloc(FILE_BYTES, 'abcdefg');

  beforeAll(async () => {
    volume = await formattedVolume(kind, ['--trash-days', String(days)]);
    daemon = await startWriter(volume);
    engine = testEngine(volume.metaUrl);
    await engine.start();
    await writeFile(join(daemon.mountpoint, 'file'), shadow);
  });

  afterAll(async () => {
    await daemon?.stop();
    await engine?.stop();
    await volume?.stop();
  });

  /** Each piece is a slice of its own. */
  async function overwrite(times: number): Promise<void> {
    const handle = await open(join(daemon.mountpoint, 'file'), 'r+');
    for (let time = 0; time < times; time += 1) {
      const at = (time * 7_919_113) % (FILE_BYTES - 3000);
      const piece = Buffer.alloc(1000 + time, `${time} `);
      piece.copy(shadow, at);
      await handle.write(piece, 0, piece.length, at);
      await handle.sync();
    }
    await handle.close();
  }

  async function recordCount(): Promise<number> {
    const { ino } = await open(join(daemon.mountpoint, 'file')).then(async (handle) => {
      const found = await handle.stat({ bigint: true });
      await handle.close();
      return found;
    });
    return (await engine.readChunk(toIno(ino), 0, signal)).length;
  }

  async function stock(...words: string[]): Promise<string> {
    const { status, stdout, stderr } = await runStock(words, { JFS_GC_SKIPPEDTIME: '0' });
    expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
    return stdout + stderr;
  }

  const isSame = async (mountpoint: string) =>
    shadow.equals(await readFile(join(mountpoint, 'file')));

  async function checkAll(): Promise<void> {
    expect(await isSame(daemon.mountpoint)).toBe(true);
    expect(await runCli(['fsck', volume.metaUrl, '--json'])).toMatchObject({ status: 0 });
    if (!hasStock) return;
    const { mountpoint, stop } = await startStockMount(volume.metaUrl);
    try {
      expect(await isSame(mountpoint)).toBe(true);
    } finally {
      await stop();
    }
    expect(await stock('fsck', volume.metaUrl)).not.toMatch(/ERROR|FATAL|broken|lost/i);
    await expect
      .poll(() => stock('gc', volume.metaUrl), { interval: 1_000 })
      .toMatch(/ 0 pending delete .* 0 leaked /);
  }

  test('a writer has them made one when a hundred are full', async () => {
    await overwrite(98);
    // The file itself is one.
    await expect.poll(recordCount).toBeLessThan(10);
    await expect.poll(() => daemon.metric('juicefs_compactions')).toBeGreaterThan(0);
    expect(await isSame(daemon.mountpoint)).toBe(true);
  });

  test('a reader has them made one when there are five', async () => {
    await overwrite(6);
    expect(await recordCount()).toBeGreaterThanOrEqual(6);
    expect(await isSame(daemon.mountpoint)).toBe(true);
    await expect.poll(recordCount).toBeLessThan(5);
    expect(await isSame(daemon.mountpoint)).toBe(true);
  });

  test('gc --compact does it without a mount', async () => {
    await overwrite(3);
    expect(await recordCount()).toBeGreaterThanOrEqual(3);
    const ended = await runCli(['gc', volume.metaUrl, '--compact', '--json']);
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(ended.stdout)).toMatchObject({
      ...{ compaction: { compacted: 1, failed: 0 }, leaked: { objects: 0 } },
    });
    expect(await recordCount()).toBeLessThan(3);
    await checkAll();
  });
});
