import { afterAll, beforeAll, expect, test } from 'vitest';
import { gatewayBucket } from '../servers/buckets.ts';
import { startGroup, type TestDaemon } from '../servers/daemons.ts';
import { expectSentOnce, secondFetches } from '../servers/origin-account.ts';
import { readAll, totalBytes } from '../servers/readers.ts';
import { getBytesServed } from '../servers/rgw.ts';
import { sharedRgw } from '../servers/shared-rgw.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';

const MIB = 2 ** 20;
const BLOCK_BYTES = 4 * MIB;
/** Across a chunk border, ending within a block, exactly one block, a byte more, and the like. */
const LARGE = [67 * MIB + 11, 24 * MIB, 13 * MIB - 1, 4 * MIB, 4 * MIB + 1];
const SMALL_FILES = 60;
/** Served by threads, which have to answer just as the main thread does. */
const GROUP = ['--memory-cache-size', '256', '--cache-size', '1024', '--peer-threads', '2'];

let bucket: Awaited<ReturnType<typeof gatewayBucket>>;
let volume: SyntheticVolume;
let nodes: TestDaemon[] = [];
const files: SyntheticFile[] = [];

const originBytes = async () => (await getBytesServed(await sharedRgw(), `${bucket.name}/`)).bytes;

/** Nothing was fetched twice, as far as no node had a reason to. */
async function expectOriginSent(bytes: number): Promise<void> {
  const expected = { bytes, blockBytes: BLOCK_BYTES, datasetBytes: totalBytes(files) };
  expectSentOnce(await originBytes(), expected, await secondFetches(nodes));
}

beforeAll(async () => {
  bucket = await gatewayBucket();
  volume = await makeSyntheticVolume({ bucket });
  for (const [index, sizeBytes] of LARGE.entries()) {
    files.push(await volume.addFile(`large/${index}`, sizeBytes));
  }
  const small = Array.from(
    { length: SMALL_FILES },
    (_, index) => [`small/${index % 7}/${index}`, 1 + index * index * 60] as const,
  );
  files.push(...(await volume.addFiles(small)));
  nodes = await startGroup(3, { metaUrl: volume.metaUrl, args: GROUP });
});

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await volume?.stop();
});

test('three nodes read a cold dataset at once and the origin sends each byte once', async () => {
  // Each node in an order of its own, so that all of them come first somewhere.
  const orders = [files, files.toReversed(), files.toSpliced(0, 3).concat(files.slice(0, 3))];
  const results = await Promise.all(
    nodes.map(({ mountpoint }, index) => readAll(mountpoint, orders[index] ?? files)),
  );
  for (const result of results) {
    expect(result).toMatchObject({ wrong: [], errors: [], bytes: totalBytes(files) });
  }
  await expectOriginSent(totalBytes(files));
});

test('reading again asks the origin for nothing', async () => {
  const before = await originBytes();
  for (const { mountpoint } of nodes) {
    expect(await readAll(mountpoint, files)).toMatchObject({ wrong: [], errors: [] });
  }
  await expectOriginSent(before);
});

test('every node has sent blocks to the others', async () => {
  for (const node of nodes) {
    expect(await node.metric('juicefs_mesh_loaded_bytes_total', 'from="peer"')).toBeGreaterThan(0);
    expect(await node.metric('juicefs_mesh_loaded_bytes_total', 'from="origin"')).toBeGreaterThan(
      0,
    );
  }
});

test('the threads of a node have served some of it by themselves', async () => {
  const sums = await Promise.all(
    nodes.map((node) => node.metric('juicefs_remotecache_served_bytes')),
  );
  const inMemory = await Promise.all(
    nodes.map((node) => node.metric('juicefs_mesh_reads_total', 'from="memory"')),
  );
  expect(sums.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThan(totalBytes(files));
  expect(Math.max(...inMemory)).toBeGreaterThan(0);
  for (const node of nodes) {
    expect(await node.metric('juicefs_remotecache_thread_deaths')).toBe(0);
  }
});
