import { spawn } from 'node:child_process';
import { access, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createMetaEngine } from '../../src/meta/create-engine.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { runToEnd } from '../servers/cli.ts';
import { runHere } from '../servers/cli-here.ts';
import { DAEMON_PROGRAM } from '../servers/daemon-program.ts';
import { formattedVolume } from '../servers/formatted-volume.ts';

const BLOCKS = ['vol/chunks/0/0/1_0_100', 'vol/chunks/0/0/2_0_5', 'vol/chunks/1/1000/1000000_0_7'];
const FOREIGN = ['vol/chunks/0/0/notes', 'other/chunks/0/0/1_0_100'];
const { signal } = new AbortController();

describe.each(['redis', 'sqlite'] as const)('a volume on %s', (engine) => {
  let volume: Awaited<ReturnType<typeof formattedVolume>>;
  let uuid: string;

  beforeEach(async () => {
    volume = await formattedVolume(engine);
    uuid = (await readFile(join(volume.objects, 'vol/juicefs_uuid'), 'utf8')).trim();
    for (const key of [...BLOCKS, 'vol/meta/dump-2026-01-02-030405.json.gz']) await put(key);
  });

  afterEach(async () => {
    await volume.stop();
  });

  async function put(key: string): Promise<void> {
    const path = join(volume.objects, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, 'bytes');
  }

  const destroy = (...words: string[]) => runHere(['destroy', volume.metaUrl, ...words]);

  /** Keys of Redis, or tables of SQLite. */
  async function metadata(): Promise<string[]> {
    if (engine === 'sqlite') {
      const database = new DatabaseSync(volume.metaUrl.slice('sqlite3://'.length));
      const sql = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'`;
      const names = database.prepare(sql).all();
      database.close();
      return names.map(({ name }) => String(name));
    }
    const client = new Redis(volume.metaUrl);
    const names = await client.keys('*');
    client.disconnect();
    return names;
  }

  test('is gone with its objects; what is not its own stays', async () => {
    for (const key of FOREIGN) await put(key);
    if (engine === 'redis') {
      const client = new Redis(volume.metaUrl);
      await client.set('i-am-foreign', 'x');
      client.disconnect();
    }
    const { status, stdout, stderr } = await destroy(uuid, '--yes', '--json');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      ...{ name: 'vol', uuid },
      objects: {
        ...{ deleted: 5, bytes: 4 * 5 + 36, failed: 0, foreign: 1 },
        foreignKeys: ['vol/chunks/0/0/notes'],
      },
    });
    for (const key of FOREIGN) await access(join(volume.objects, key));
    expect(await readdir(join(volume.objects, 'vol/chunks'))).toEqual(['0']);
    expect(await metadata()).toEqual(engine === 'redis' ? ['i-am-foreign'] : []);
  });

  test('is not touched without a yes, nor under another UUID', async () => {
    const wrong = await destroy('11111111-2222-3333-4444-555555555555', '--yes');
    expect(wrong).toMatchObject({ status: 2 });
    expect(wrong.stderr).toContain('is not that of the volume vol');
    const program = [process.execPath, DAEMON_PROGRAM, 'destroy', volume.metaUrl, uuid] as const;
    for (const input of ['', 'maybe\n']) {
      const asked = await runToEnd([...program], { input });
      expect(asked).toMatchObject({ status: 2, stdout: '' });
      expect(asked.stderr).toMatch(/UUID .*Go on\? \[y\/N\].*nothing was deleted/s);
    }
    for (const key of BLOCKS) await access(join(volume.objects, key));
    expect(await runToEnd([...program], { input: 'yes\n' })).toMatchObject({ status: 0 });
    expect(await metadata()).toEqual([]);
  });

  test('is not destroyed while it is mounted, unless forced', async () => {
    const engineOfMount = createMetaEngine(volume.metaUrl, {
      ...{ env: {}, clock: systemClock, random: systemRandom },
      ...{ logger: silentLogger, metrics: memoryMetrics() },
    });
    await engineOfMount.start();
    const info = {
      ...{ Version: '1.4.1', HostName: 'node7', MountPoint: '/mnt/data' },
      ...{ MountTime: '2026-01-02T03:04:05Z', ProcessID: 1 },
    };
    await engineOfMount.openSession(info, signal);
    const refused = await destroy(uuid, '--yes');
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toContain('node7, /mnt/data');
    for (const key of BLOCKS) await access(join(volume.objects, key));
    expect(await destroy(uuid, '--force')).toMatchObject({ status: 0 });
    await engineOfMount.stop();
    expect(await metadata()).toEqual([]);
  });

  test('whose bucket is of another one, or of nobody, loses no objects', async () => {
    const mark = join(volume.objects, 'vol/juicefs_uuid');
    await rm(mark);
    const unmarked = await destroy(uuid, '--yes');
    expect(unmarked).toMatchObject({ status: 1 });
    expect(unmarked.stderr).toContain('has no vol/juicefs_uuid');
    await writeFile(mark, '11111111-2222-3333-4444-555555555555');
    const others = await destroy(uuid, '--yes');
    expect(others).toMatchObject({ status: 1 });
    expect(others.stderr).toContain(`does not contain ${uuid}`);
    const forced = await destroy(uuid, '--force');
    expect(forced).toMatchObject({ status: 0 });
    expect(forced.stderr).toContain('no object is deleted');
    for (const key of BLOCKS) await access(join(volume.objects, key));
    expect(await metadata()).toEqual([]);
  });

  test('is begun again where it was stopped', async () => {
    const keys = Array.from({ length: 4000 }, (_, number) => {
      return `vol/chunks/0/2/${2000 + (number % 1000)}_${Math.floor(number / 1000)}_5`;
    });
    await mkdir(dirname(join(volume.objects, keys[0] ?? '')), { recursive: true });
    await Promise.all(keys.map((key) => writeFile(join(volume.objects, key), 'bytes')));
    const count = async () => (await readdir(join(volume.objects, 'vol/chunks/0/2'))).length;
    const child = spawn(process.execPath, [
      ...[DAEMON_PROGRAM, 'destroy', volume.metaUrl, uuid, '--yes'],
    ]);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    while ((await count()) === keys.length) await sleep(1);
    child.kill('SIGKILL');
    await ended;
    expect(await count()).toBeGreaterThan(0);
    const done = await destroy(uuid, '--yes');
    expect(done).toMatchObject({ status: 0, stderr: '' });
    expect(done.stdout).toMatch(/^the volume vol is destroyed: \d+ objects deleted/);
    // The next one finds its place empty.
    expect(await readdir(volume.objects)).toEqual([]);
    expect(await metadata()).toEqual([]);
    const words = ['format', volume.metaUrl, 'vol', '--storage', 'file', '--bucket'];
    expect(await runHere([...words, volume.objects])).toMatchObject({ status: 0 });
  });
});
