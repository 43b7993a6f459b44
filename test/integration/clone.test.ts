import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../servers/cli.ts';
import type { TestDaemon } from '../servers/daemons.ts';
import { formattedVolume } from '../servers/formatted-volume.ts';
import { hasStock, runStock, startStockMount } from '../servers/stock.ts';
import { startWriter, type WritableVolume } from '../servers/writable.ts';

const run = promisify(execFile);

describe.each(['redis', 'sqlite'] as const)('trees that are cloned on %s', (engine) => {
  let volume: WritableVolume;
  let daemon: TestDaemon;
  let at: (...names: string[]) => string;

  beforeAll(async () => {
    volume = await formattedVolume(engine, ['--trash-days', '0']);
    daemon = await startWriter(volume);
    at = (...names) => join(daemon.mountpoint, ...names);
    await mkdir(at('tree', 'sub', 'deep'), { recursive: true });
    for (let number = 0; number < 20; number += 1) {
      await writeFile(at('tree', 'sub', `file ${number}`), `${number} `.repeat(number * 100));
    }
    await writeFile(at('tree', 'big'), Buffer.alloc(5 << 20, 'big'), { mode: 0o600 });
    await symlink('big', at('tree', 'link'));
  });

  afterAll(async () => {
    await daemon?.stop();
    await volume?.stop();
  });

  const same = async (a: string, b: string) => {
    expect((await run('diff', ['-r', '--no-dereference', a, b])).stdout).toBe('');
  };

  async function stock(...words: string[]): Promise<string> {
    const { status, stdout, stderr } = await runStock(words, { JFS_GC_SKIPPEDTIME: '0' });
    expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
    return stdout + stderr;
  }

  test('are the same, and live without the source', async () => {
    const done = await runCli(['clone', at('tree'), at('copy'), '--preserve', '--json']);
    expect(done).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(done.stdout)).toEqual({ copied: 25 });
    await same(at('tree'), at('copy'));
    expect((await stat(at('copy', 'big'))).mode & 0o777).toBe(0o600);
    const one = await runCli(['clone', at('tree', 'big'), at('copy') + '/']);
    expect(one).toMatchObject({ status: 1 });
    expect(one.stderr).toContain('EEXIST');
    const file = await runCli(['clone', at('tree', 'big'), at('one')]);
    expect(file).toMatchObject({ status: 0, stdout: '1 files and directories copied\n' });
    await writeFile(at('copy', 'big'), 'changed');
    expect((await readFile(at('tree', 'big'))).byteLength).toBe(5 << 20);
    await rm(at('tree'), { recursive: true });
    expect((await readFile(at('one'))).equals(Buffer.alloc(5 << 20, 'big'))).toBe(true);
  });

  test('what cannot be is refused', async () => {
    const wrong = [
      [[at('copy'), at('copy', 'sub', 'x')], 'is below'],
      [[at('copy'), '/tmp/x'], 'not in the mount'],
      [[at('nothing'), at('x')], 'no such file'],
    ] as const;
    const runs = wrong.map(([words]) => runCli(['clone', ...words]));
    (await Promise.all(runs)).forEach(({ status, stderr }, index) => {
      expect(status).not.toBe(0);
      expect(stderr).toContain(wrong[index]?.[1]);
    });
  });

  test.skipIf(!hasStock)(
    'by the original client through our mount, which finds all in order',
    async () => {
      await stock('clone', at('copy'), at('theirs'), '--preserve');
      await same(at('copy'), at('theirs'));
      const { mountpoint, stop } = await startStockMount(volume.metaUrl);
      try {
        await same(at('copy'), join(mountpoint, 'copy'));
        await stock('clone', join(mountpoint, 'copy'), join(mountpoint, 'third'));
        await same(at('copy'), at('third'));
      } finally {
        await stop();
      }
      expect(await stock('fsck', volume.metaUrl)).not.toMatch(/ERROR|FATAL|broken|lost/i);
      const inside = await stock('fsck', volume.metaUrl, '--path', '/', '-r', '--sync-dir-stat');
      expect(inside).not.toMatch(/ERROR|FATAL|should be/i);
      await expect
        .poll(() => stock('gc', volume.metaUrl), { interval: 1_000 })
        .toMatch(/ 0 pending delete .* 0 leaked /);
    },
  );
});
