import { afterAll, beforeAll, expect, test } from 'vitest';
import { gatewayBucket } from '../servers/buckets.ts';
import { startGroup, type TestDaemon } from '../servers/daemons.ts';
import { readAll, totalBytes } from '../servers/readers.ts';
import { getBytesServed } from '../servers/rgw.ts';
import { sharedRgw } from '../servers/shared-rgw.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';

const MIB = 2 ** 20;
/** Across a chunk border, ending within a block, exactly one block, a byte more, and the like. */
const LARGE = [67 * MIB + 11, 24 * MIB, 13 * MIB - 1, 4 * MIB, 4 * MIB + 1];
const SMALL_FILES = 60;
const GROUP = ['--memory-cache-size', '256', '--cache-size', '1024'];

let bucket: Awaited<ReturnType<typeof gatewayBucket>>;
let volume: SyntheticVolume;
let nodes: TestDaemon[] = [];
const files: SyntheticFile[] = [];

beforeAll(async () => {
  bucket = await gatewayBucket();
  volume = await makeSyntheticVolume({ bucket });
  for (const [index, sizeBytes] of LARGE.entries()) {
    files.push(await volume.addFile(`large/${index}`, sizeBytes));
  }
  for (let index = 0; index < SMALL_FILES; index += 1) {
    files.push(await volume.addFile(`small/${index % 7}/${index}`, 1 + index * index * 60));
  }
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
  const served = await getBytesServed(await sharedRgw(), `${bucket.name}/`);
  expect(served.bytes).toBe(totalBytes(files));
});

test('reading again asks the origin for nothing', async () => {
  const rgw = await sharedRgw();
  const before = await getBytesServed(rgw, `${bucket.name}/`);
  for (const { mountpoint } of nodes) {
    expect(await readAll(mountpoint, files)).toMatchObject({ wrong: [], errors: [] });
  }
  expect(await getBytesServed(rgw, `${bucket.name}/`)).toEqual(before);
});

test('every node has sent blocks to the others', async () => {
  for (const node of nodes) {
    expect(await node.metric('juicefs_mesh_loaded_bytes_total', 'from="peer"')).toBeGreaterThan(0);
    expect(await node.metric('juicefs_mesh_loaded_bytes_total', 'from="origin"')).toBeGreaterThan(
      0,
    );
  }
});
