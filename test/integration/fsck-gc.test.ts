import { access, mkdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { objectKeyOf } from '../../src/block/object-key.ts';
import { ROOT_INO } from '../../src/posix/ino.ts';
import { WriterBench, type WriterVolume } from '../contract/writer-bench.ts';
import { redisWriterVolume, sqliteWriterVolume } from '../contract/writer-volumes.ts';
import { runHere } from '../servers/cli-here.ts';
import type { Ended } from '../servers/cli.ts';
import { emptyRedisVolume, emptySqliteVolume } from '../servers/empty-volume.ts';
import { hasStock, runStock } from '../servers/stock.ts';

const BLOCK = 4 * 2 ** 20;
const { signal } = new AbortController();

describe.each([
  ['redis', async () => redisWriterVolume(await emptyRedisVolume())],
  ['sqlite', async () => sqliteWriterVolume(await emptySqliteVolume())],
] as const)('objects of a volume on %s', (_, make) => {
  let volume: WriterVolume;
  let bench: WriterBench;
  let bucket: string;

  beforeAll(async () => {
    volume = await make();
    bench = await WriterBench.on(volume);
    const setting = await bench.engine.loadSetting(signal);
    ({ bucket } = setting);
    await put('written/juicefs_uuid', setting.uuid);
    const dir = await bench.mkdir('dir');
    for (const name of ['one', 'two']) {
      const ino = await bench.file(name, dir);
      const id = await bench.write(ino, 0, BLOCK + 1000);
      await put(block(id, 0, BLOCK), Buffer.alloc(BLOCK));
      await put(block(id, 1, 1000), Buffer.alloc(1000));
    }
    // A file that is deleted keeps its data until somebody has time.
    const id = await bench.write(await bench.file('deleted'), 0, 10);
    await put(block(id, 0, 10), Buffer.alloc(10));
    await bench.writer.unlink({ parent: ROOT_INO, name: Buffer.from('deleted') }, bench.root);
  });

  afterAll(async () => {
    await bench?.stop();
    await volume?.stop();
  });

  function block(sliceId: bigint, index: number, sizeBytes: number): string {
    const naming = { volumeName: 'written', hashPrefix: false };
    return objectKeyOf(naming, { sliceId, index, sizeBytes });
  }

  /** An object of two hours ago. */
  async function put(key: string, bytes: Uint8Array | string, ageMs = 7_200_000): Promise<void> {
    const path = join(bucket, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
    const at = new Date(Date.now() - ageMs);
    await utimes(path, at, at);
  }

  const isThere = (key: string) =>
    access(join(bucket, key)).then(
      () => true,
      () => false,
    );
  const jsonOf = ({ stdout }: Ended) => JSON.parse(stdout) as Record<string, unknown>;

  test('gc finds what nothing refers to, deletes it only when told to, and nothing else', async () => {
    const leaked = [block(9_000_001n, 0, 500), block(1n, 2, 7), block(1n, 1, 999)];
    for (const key of leaked) await put(key, 'x'.repeat(5));
    const young = block(9_000_002n, 0, 3);
    await put(young, 'new', 0);
    // Neither has the name that a block of this volume would have.
    const foreign = ['written/chunks/0/0/notes', 'written/chunks/7/7/1_0_1000'];
    for (const key of foreign) await put(key, 'mine');
    const expected = {
      used: { objects: 5, bytes: 2 * (BLOCK + 1000) + 10 },
      leaked: { objects: 3, bytes: 15 },
      young: { objects: 1, bytes: 3 },
      foreign: { objects: 2, bytes: 8 },
      deleted: { objects: 0, bytes: 0 },
    };
    const dry = await runHere(['gc', volume.metaUrl, '--json']);
    expect(dry).toMatchObject({ status: 0, stderr: '' });
    expect(jsonOf(dry)).toMatchObject({ ...expected, keys: leaked.toSorted() });
    expect(await Promise.all(leaked.map(isThere))).toEqual([true, true, true]);
    const done = await runHere(['gc', volume.metaUrl, '--delete', '--json']);
    expect(done).toMatchObject({ status: 0, stderr: '' });
    expect(jsonOf(done)).toMatchObject({ ...expected, deleted: expected.leaked });
    expect(await Promise.all(leaked.map(isThere))).toEqual([false, false, false]);
    expect(await Promise.all([young, ...foreign].map(isThere))).toEqual([true, true, true]);
    const again = await runHere(['gc', volume.metaUrl, '--older-than', '0', '--json']);
    expect(jsonOf(again)).toMatchObject({ leaked: expected.young, young: { objects: 0 } });
  });

  test('fsck finds nothing where nothing is wrong, and neither does the original client', async () => {
    const found = await runHere(['fsck', volume.metaUrl, '--json']);
    expect(found).toMatchObject({ status: 0, stderr: '' });
    const bytes = 2 * (BLOCK + 1000) + 10;
    expect(jsonOf(found)).toEqual({ chunks: 3, blocks: 5, bytes, findings: [] });
    const status = hasStock ? (await runStock(['fsck', volume.metaUrl])).status : 0;
    expect(status).toBe(0);
  });

  test('fsck tells which files have lost objects, or have some of a wrong size', async () => {
    const [missing, short] = [block(1n, 1, 1000), block(2n, 0, BLOCK)];
    await rm(join(bucket, missing));
    await truncate(join(bucket, short), 100);
    const found = await runHere(['fsck', volume.metaUrl, '--json']);
    expect(found).toMatchObject({ status: 1, stderr: 'cachemesh: 2 findings in 2 files\n' });
    expect(jsonOf(found)['findings']).toMatchObject([
      { kind: 'missing', path: '/dir/one', object: missing, expectedBytes: 1000 },
      { kind: 'size', path: '/dir/two', object: short, expectedBytes: BLOCK, foundBytes: 100 },
    ]);
    const { stdout } = await runHere(['fsck', volume.metaUrl]);
    expect(stdout).toMatch(/\/dir\/one .*missing/);
  });
});

test('a slice list that cannot be read is a finding, and nothing is taken for leaked then', async () => {
  const { metaUrl, database, bucket, stop } = await emptySqliteVolume();
  const insert = 'INSERT INTO jfs_chunk (inode, indx, slices) VALUES (7, 0, ?)';
  database.prepare(insert).run(Buffer.alloc(25));
  const key = 'written/chunks/0/0/5_0_3';
  await mkdir(dirname(join(bucket, key)), { recursive: true });
  await writeFile(join(bucket, key), 'abc');
  const gc = await runHere(['gc', metaUrl, '--delete', '--older-than', '0']);
  expect(gc).toMatchObject({ status: 1, stdout: '' });
  expect(gc.stderr).toContain('slice list of part 0 of inode 7 cannot be read');
  await access(join(bucket, key));
  const fsck = await runHere(['fsck', metaUrl, '--json']);
  expect(fsck).toMatchObject({ status: 1 });
  expect(fsck.stdout).toContain('"kind": "list"');
  await stop();
});
