import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { redisWriterVolume, sqliteWriterVolume } from '../contract/writer-volumes.ts';
import { refusal, user, WriterBench, type WriterVolume } from '../contract/writer-bench.ts';
import type { Ino } from '../../src/posix/ino.ts';
import { runHere } from '../servers/cli-here.ts';
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
    const { status, stdout, stderr } = await runHere([
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
    const { stdout } = await runHere(['quota', 'get', volume.metaUrl, '--path', '/top']);
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
    const wrong = await runHere([...words, '--json']);
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

describe.each([
  ['redis', async () => redisWriterVolume(await emptyRedisVolume())],
  ['sqlite', async () => sqliteWriterVolume(await emptySqliteVolume())],
] as const)('quotas of users and groups on %s', (_, make) => {
  let volume: WriterVolume;
  let bench: WriterBench;
  const caller = user(1000, 50);

  beforeAll(async () => {
    volume = await make();
    bench = await WriterBench.on(volume);
    const top = await bench.mkdir('top', undefined, 0o777, caller);
    await bench.file('file', top, 10_000, caller);
    await bench.file('roots', top, 100);
  });

  afterAll(async () => {
    await bench?.stop();
    await volume?.stop();
  });

  const quota = (command: string, ...words: readonly string[]) =>
    runHere(['quota', command, volume.metaUrl, ...words, '--json']);

  async function done(command: string, ...words: readonly string[]): Promise<unknown> {
    const { status, stdout, stderr } = await quota(command, ...words);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return JSON.parse(stdout);
  }

  const refresh = () => bench.writer.refresh(new AbortController().signal);

  test('the first one counts what is everybody’s, and all hold', async () => {
    const used = { usedBytes: '16384', usedInodes: '2' };
    const capacity = ['--uid', '1000', '--capacity', '1.5'];
    const limit = { maxBytes: String((GIB * 3n) / 2n), maxInodes: '-1' };
    expect(await done('set', ...capacity)).toEqual([{ uid: 1000, ...limit, ...used }]);
    const inodes = ['--gid', '50', '--inodes', '3'];
    const group = { gid: 50, maxBytes: '-1', maxInodes: '3', ...used };
    expect(await done('set', ...inodes)).toEqual([group]);
    await refresh();
    const top = (await bench.find('top'))?.ino;
    await bench.file('third', top, 0, caller);
    expect(await refusal(bench, () => bench.file('fourth', top, 0, caller))).toBe('EDQUOT');
    await bench.writer.unlink({ parent: top as Ino, name: Buffer.from('third') }, bench.root);
    expect(await done('get', '--gid', '50')).toEqual([group]);
    expect(await done('list')).toEqual([{ uid: 1000, ...limit, ...used }, group]);
    expect(await done('ls', '--gid', '50')).toEqual([group]);
    const { stdout } = await runHere(['quota', 'list', volume.metaUrl]);
    expect(stdout).toMatch(/uid 1000 .*1\.5 GiB.* 16\.0 KiB.* no limit .* 2 /);
    expect(await done('check')).toMatchObject([{ uid: 0 }, { uid: 1000 }, { gid: 0 }, group]);
  });

  test.skipIf(!hasStock)('the original client reads them and finds them right', async () => {
    const listed = await runStock(['quota', 'list', volume.metaUrl]);
    expect(listed.stdout).toMatch(
      /uid:1000 +\| +1\.5 GiB +\| +16 KiB +\| +0% +\| +unchanged +\| +2 /,
    );
    expect(listed.stdout).toMatch(/gid:50 +\| +unchanged +\| +16 KiB +\| +\| +3 +\| +2 /);
    expect(await runStock(['quota', 'check', volume.metaUrl])).toMatchObject({ status: 0 });
    const set = ['quota', 'set', volume.metaUrl, '--uid', '1000', '--inodes', '9'];
    expect(await runStock(set)).toMatchObject({ status: 0 });
    expect(await done('get', '--uid', '1000')).toMatchObject([
      { maxBytes: String((GIB * 3n) / 2n), maxInodes: '9', usedInodes: '2' },
    ]);
  });

  test('a wrong one is found, and mended when asked to', async () => {
    const limits = { maxBytes: GIB, maxInodes: 5n };
    await volume.setOwnerQuota('user', 1000, { ...limits, usedBytes: 4096n, usedInodes: 9n });
    const wrong = await quota('check');
    expect(wrong).toMatchObject({ status: 1 });
    expect(wrong.stderr).toContain('1 quotas are not charged');
    const line = { usedBytes: '4096', foundBytes: '16384', usedInodes: '9', foundInodes: '2' };
    const all = [{ uid: 0 }, { uid: 1000, ...line }, { gid: 0 }, { gid: 50 }];
    expect(JSON.parse(wrong.stdout)).toMatchObject(all);
    await done('check', '--uid', '1000', '--repair');
    expect(await done('check')).toHaveLength(4);
  });

  test('one that is deleted limits nothing; the usage is kept', async () => {
    const before = { gid: 50, maxInodes: '3', usedInodes: '2' };
    expect(await done('delete', '--gid', '50')).toMatchObject([before]);
    expect(await done('list', '--gid', '50')).toEqual([]);
    expect(await done('get', '--gid', '50')).toMatchObject([{ ...before, maxInodes: '-1' }]);
    const again = await quota('del', '--gid', '50');
    expect(again).toMatchObject({ status: 2 });
    expect(again.stderr).toContain('--gid: 50 has no quota');
    for (const value of ['false', 'true']) {
      const words = ['config', volume.metaUrl, '--user-group-quota', value];
      expect(await runHere([...words, '--force'])).toMatchObject({ status: 0, stderr: '' });
    }
    // What was kept before may be wrong: all is counted anew.
    expect(await done('check')).toHaveLength(4);
    expect(await done('list')).toEqual([]);
  });
});

test('what is wrong is named', async () => {
  const { metaUrl, stop } = await emptySqliteVolume();
  const wrong: readonly (readonly [words: readonly string[], message: string])[] = [
    [['get', '--path', '/'], '/ has no quota'],
    [['set', '--path', '/nothing', '--inodes', '1'], '/nothing: there is no such'],
    [['set', '--path', '/', '--capacity', 'x'], '--capacity: "x"'],
    [['set', '--inodes', '1'], '--path'],
    [['get'], '--path'],
    [['set', '--path', '/', '--uid', '1', '--inodes', '1'], 'only one of them'],
    [['set', '--uid', '0', '--inodes', '1'], '--uid'],
    [['set', '--gid', '4294967296', '--inodes', '1'], '--gid'],
    [['get', '--uid', '7'], '7 has no quota'],
  ];
  for (const [[command = '', ...rest], message] of wrong) {
    const { status, stderr } = await runHere(['quota', command, metaUrl, ...rest]);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining(message) });
  }
  await stop();
});
