import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { startGroup, type TestDaemon } from '../servers/daemons.ts';
import { type FileOrigin, startFileOrigin } from '../servers/file-origin.ts';
import { makeSyntheticVolume, type SyntheticVolume } from '../servers/synthetic-volume.ts';
import { waitUntil } from '../servers/wait-until.ts';

const BLOCK_BYTES = 64 * 1024;
const FILES = 12;

let volume: SyntheticVolume;
let origin: FileOrigin;
let nodes: [TestDaemon, TestDaemon];

beforeAll(async () => {
  const folder = await folderBucket();
  volume = await makeSyntheticVolume({ bucket: folder, blockKib: BLOCK_BYTES / 1024 });
  origin = await startFileOrigin(folder.dir);
  const store = [
    '--storage',
    'minio',
    '--bucket',
    `${origin.endpoint}/bucket`,
    '--io-retries',
    '0',
  ];
  nodes = (await startGroup(2, {
    metaUrl: volume.metaUrl,
    args: ['--read-write', '--writeback', '--fill-group-cache', ...store],
    env: { MINIO_ACCESS_KEY: 'any', MINIO_SECRET_KEY: 'any' },
  })) as [TestDaemon, TestDaemon];
});

afterAll(async () => {
  await Promise.all((nodes ?? []).map((node) => node.stop()));
  await origin?.stop();
  await volume?.stop();
});

const contentOf = (dir: string, file: number) =>
  Buffer.alloc(3 * BLOCK_BYTES + 1000 + file, `${dir} ${file} `);
const gets = () => origin.requests.filter(({ method }) => method === 'GET').length;
const filled = (node: TestDaemon) => node.metric('juicefs_group_fill_blocks', 'outcome="fetched"');

/** Writes files on the first node and waits until the second one has what it owns of them. */
async function fill(dir: string): Promise<void> {
  await mkdir(join(nodes[0].mountpoint, dir));
  const before = await filled(nodes[0]);
  for (let file = 0; file < FILES; file += 1) {
    const path = join(nodes[0].mountpoint, dir, String(file));
    await writeFile(path, contentOf(dir, file));
    const synced = await open(path);
    await synced.sync();
    await synced.close();
  }
  await waitUntil('owners to have their blocks', async () => {
    return (await nodes[0].metric('juicefs_group_fill_waiting_blocks')) === 0;
  });
  // Of 48 blocks it owns about a half.
  expect((await filled(nodes[0])) - before).toBeGreaterThan(FILES / 2);
}

async function readOnSecond(dir: string): Promise<void> {
  for (let file = 0; file < FILES; file += 1) {
    const found = await readFile(join(nodes[1].mountpoint, dir, String(file)));
    expect(found.equals(contentOf(dir, file)), `${dir}/${file}`).toBe(true);
  }
}

test('what one node wrote another one reads from the group, and the origin sends nothing', async () => {
  await fill('uploaded');
  await waitUntil('uploads', async () => (await nodes[0].metric('juicefs_staging_blocks')) === 0);
  const before = gets();
  await readOnSecond('uploaded');
  expect(gets() - before).toBe(0);
  expect(await nodes[0].metric('juicefs_group_fill_blocks', 'outcome="failed"')).toBe(0);
});

test('with --writeback also while the origin is away', async () => {
  Object.assign(origin.faults, { status: 503 });
  await fill('staged');
  expect(await nodes[0].metric('juicefs_staging_blocks')).toBe(4 * FILES);
  await readOnSecond('staged');
  origin.heal();
});
