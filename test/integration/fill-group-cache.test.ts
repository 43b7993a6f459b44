import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { startDaemon, type TestDaemon, untilGrouped } from '../servers/daemons.ts';
import { type FileOrigin, startFileOrigin } from '../servers/file-origin.ts';
import { makeSyntheticVolume, type SyntheticVolume } from '../servers/synthetic-volume.ts';
import { waitUntil } from '../servers/wait-until.ts';

const BLOCK_BYTES = 64 * 1024;
const FILES = 12;
const BLOCKS_PER_FILE = 4;

let volume: SyntheticVolume;
let origin: FileOrigin;
/** Gives what it writes to the reader, which owns all blocks. */
let writer: TestDaemon;
let reader: TestDaemon;
/** Keeps what it writes to itself. */
let loner: TestDaemon;

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
  const group = ['--cache-group', 'test', '--listen', '127.0.0.1:0', '--read-write', '--writeback'];
  const start = (args: readonly string[]) =>
    startDaemon({
      ...{ metaUrl: volume.metaUrl, args: [...group, ...store, ...args] },
      env: { MINIO_ACCESS_KEY: 'any', MINIO_SECRET_KEY: 'any' },
    });
  [writer, reader, loner] = (await Promise.all([
    start(['--no-sharing', '--fill-group-cache']),
    start([]),
    start(['--no-sharing', '--upload-delay', '1h']),
  ])) as [TestDaemon, TestDaemon, TestDaemon];
  await untilGrouped([writer, reader, loner], 3);
});

afterAll(async () => {
  await Promise.all([writer, reader, loner].map((node) => node?.stop()));
  await origin?.stop();
  await volume?.stop();
});

const contentOf = (dir: string, file: number) =>
  Buffer.alloc(3 * BLOCK_BYTES + 1000 + file, `${dir} ${file} `);
const gets = () => origin.requests.filter(({ method }) => method === 'GET').length;
/** Writes files and waits until the reader has fetched all of their blocks. */
async function fill(dir: string): Promise<void> {
  const fetched = () => writer.metric('juicefs_group_fill_blocks', 'outcome="fetched"');
  const before = await fetched();
  await mkdir(join(writer.mountpoint, dir));
  for (let file = 0; file < FILES; file += 1) {
    await writeFile(join(writer.mountpoint, dir, String(file)), contentOf(dir, file));
  }
  const isFilled = async () => (await fetched()) - before === FILES * BLOCKS_PER_FILE;
  await waitUntil('the owner to have the blocks', isFilled);
}

async function checkAtReader(dir: string): Promise<void> {
  for (let file = 0; file < FILES; file += 1) {
    const found = await readFile(join(reader.mountpoint, dir, String(file)));
    expect(found.equals(contentOf(dir, file)), `${dir}/${file}`).toBe(true);
  }
}

test('what one node wrote another one reads from the group, and the origin sends nothing', async () => {
  const before = gets();
  await fill('uploaded');
  const isUploaded = async () => (await writer.metric('juicefs_staging_blocks')) === 0;
  await waitUntil('uploads', isUploaded);
  await checkAtReader('uploaded');
  expect(gets() - before).toBe(0);
});

test('with --writeback also while the origin is away', async () => {
  Object.assign(origin.faults, { status: 503 });
  await fill('staged');
  expect(await writer.metric('juicefs_staging_blocks')).toBe(FILES * BLOCKS_PER_FILE);
  await checkAtReader('staged');
  origin.heal();
});

test('a block of which only its writer knows is looked for in the group', async () => {
  await writeFile(join(loner.mountpoint, 'stray'), contentOf('stray', 0));
  const found = await readFile(join(reader.mountpoint, 'stray'));
  expect(found.equals(contentOf('stray', 0))).toBe(true);
  const searches = await reader.metric('juicefs_mesh_events_total', 'event="stray-found"');
  expect(searches).toBe(BLOCKS_PER_FILE);
});
