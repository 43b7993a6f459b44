import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { redisWriterVolume, sqliteWriterVolume } from '../contract/writer-volumes.ts';
import { refusal, WriterBench, type WriterVolume } from '../contract/writer-bench.ts';
import type { Ino } from '../../src/posix/ino.ts';
import { runCli } from '../servers/cli.ts';
import { emptyRedisVolume, emptySqliteVolume } from '../servers/empty-volume.ts';
import { hasStock, runStock } from '../servers/stock.ts';

const GIB = 2n ** 30n;

describe.each([
  ['redis', async () => redisWriterVolume(await emptyRedisVolume())],
  ['sqlite', async () => sqliteWriterVolume(await emptySqliteVolume())],
] as const)('quotas of directories on %s', (_, make) => {
  let volume: WriterVolume;
  let bench: WriterBench;

  beforeAll(async () => {
    volume = await make();
    bench = await WriterBench.on(volume);
    const top = await bench.mkdir('top');
    const sub = await bench.mkdir('sub', top);
    await bench.file('file', sub, 10_000);
    await bench.mkdir('other');
  });

  afterAll(async () => {
    await bench?.stop();
    await volume?.stop();
  });

  async function quota(...words: readonly string[]): Promise<unknown> {
    const [command = '', ...rest] = words;
    const { status, stdout, stderr } = await runCli([
      ...['quota', command, volume.metaUrl, ...rest, '--json'],
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return JSON.parse(stdout);
  }

  async function inoOf(name: string, parent?: Ino): Promise<Ino> {
    const entry = await bench.find(name, parent);
    if (entry === undefined) throw new Error(`${name} is not there`);
    return entry.ino;
  }

  const found = (path: string, maxBytes: bigint, maxInodes: bigint) => ({
    ...{ path, maxBytes: String(maxBytes), maxInodes: String(maxInodes) },
    ...(path === '/top/sub' && { usedBytes: '12288', usedInodes: '1' }),
    ...(path === '/top' && { usedBytes: '16384', usedInodes: '2' }),
  });

  test('a new one is charged with what is there, and holds; a changed one keeps the rest', async () => {
    const capacity = ['--path', '/top', '--capacity', '1.5'];
    expect(await quota('set', ...capacity)).toMatchObject([found('/top', (GIB * 3n) / 2n, -1n)]);
    const inodes = ['--path', 'top/sub', '--inodes', '2'];
    expect(await quota('set', ...inodes)).toMatchObject([found('top/sub', -1n, 2n)]);
    const more = ['--path', '/top/', '--inodes', '10'];
    expect(await quota('set', ...more)).toMatchObject([found('/top/', (GIB * 3n) / 2n, 10n)]);
    await bench.sound();
    // Whoever has mounted it learns of them with a heartbeat.
    await bench.writer.refresh(new AbortController().signal);
    const sub = await inoOf('sub', await inoOf('top'));
    await bench.file('second', sub);
    expect(await refusal(bench, () => bench.file('third', sub))).toBe('EDQUOT');
    await bench.writer.unlink({ parent: sub, name: Buffer.from('second') }, bench.root);
    await bench.sound();
  });

  test('all are listed by their paths', async () => {
    const expected = [found('/top', (GIB * 3n) / 2n, 10n), found('/top/sub', -1n, 2n)];
    expect(await quota('list')).toEqual(expected);
    const { stdout } = await runCli(['quota', 'get', volume.metaUrl, '--path', '/top']);
    expect(stdout).toMatch(/\/top .*1\.5 GiB.* 16\.0 KiB.* 10 .* 2 /);
  });

  test.skipIf(!hasStock)('the original client reads them and finds them right', async () => {
    const listed = await runStock(['quota', 'list', volume.metaUrl]);
    expect(listed.stdout).toMatch(/\/top +\| +1\.5 GiB +\| +16 KiB +\| +0% +\| +10 +\| +2 /);
    for (const path of ['/top', '/top/sub']) {
      expect(await runStock(['quota', 'check', volume.metaUrl, '--path', path])).toMatchObject({
        status: 0,
      });
    }
  });

  test('a wrong one is found, and mended when asked to', async () => {
    const top = await inoOf('top');
    const limits = { maxBytes: 4n * GIB, maxInodes: 5n };
    await volume.setDirQuota(top, { ...limits, usedBytes: 4096n, usedInodes: 9n });
    const words = ['quota', 'check', volume.metaUrl];
    const wrong = await runCli([...words, '--json']);
    expect(wrong).toMatchObject({ status: 1 });
    expect(wrong.stderr).toContain('1 quotas are not charged');
    expect(JSON.parse(wrong.stdout)).toMatchObject([
      { path: '/top', usedBytes: '4096', foundBytes: '16384', usedInodes: '9', foundInodes: '2' },
      { path: '/top/sub', usedBytes: '12288', foundBytes: '12288' },
    ]);
    await quota('check', '--path', '/top', '--repair');
    expect(await quota('check')).toMatchObject([found('/top', 4n * GIB, 5n), {}]);
    await bench.sound();
  });

  test('one that is deleted is gone; a new one switches on the statistics that it needs', async () => {
    await quota('delete', '--path', '/top');
    expect(await quota('list')).toEqual([found('/top/sub', -1n, 2n)]);
    await volume.change({ DirStats: false });
    await quota('set', '--path', '/other', '--inodes', '1');
    const { signal } = new AbortController();
    expect(await bench.engine.loadSetting(signal)).toMatchObject({ dirStats: true });
  });
});

test('what is wrong is named', async () => {
  const { metaUrl, stop } = await emptySqliteVolume();
  const wrong: readonly (readonly [words: readonly string[], message: string])[] = [
    [['get', '--path', '/'], '/ has no quota'],
    [['set', '--path', '/nothing', '--inodes', '1'], '/nothing: there is no such'],
    [['set', '--path', '/', '--capacity', 'x'], '--capacity: "x"'],
    [['set', '--inodes', '1'], '--path'],
  ];
  const runs = wrong.map(([[command = '', ...rest]]) =>
    runCli(['quota', command, metaUrl, ...rest]),
  );
  (await Promise.all(runs)).forEach(({ status, stderr }, index) => {
    expect(status).toBe(2);
    expect(stderr).toContain(wrong[index]?.[1]);
  });
  await stop();
});
