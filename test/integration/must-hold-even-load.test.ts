import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gatewayBucket } from '../servers/buckets.ts';
import { runCli } from '../servers/cli.ts';
import { startDaemon, startGroup, type TestDaemon, untilGrouped } from '../servers/daemons.ts';
import { expectSentOnce, secondFetches } from '../servers/origin-account.ts';
import { readAll, totalBytes } from '../servers/readers.ts';
import { getBytesServed } from '../servers/rgw.ts';
import { sharedRgw } from '../servers/shared-rgw.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';

/** Small blocks, so that there are enough of them for an even share. */
const BLOCK_KIB = 64;
const FILE_BYTES = 40 * BLOCK_KIB * 1024;
const FILES = 50;
const NODES = 8;
const READERS_AT_ONCE = 2;
const GROUP = ['--memory-cache-size', '64', '--cache-size', '512', '--fuse-workers', '1'];

let bucket: Awaited<ReturnType<typeof gatewayBucket>>;
let volume: SyntheticVolume;
let nodes: TestDaemon[] = [];
const files: SyntheticFile[] = [];

const originBytes = async () => (await getBytesServed(await sharedRgw(), `${bucket.name}/`)).bytes;

beforeAll(async () => {
  bucket = await gatewayBucket();
  volume = await makeSyntheticVolume({ bucket, blockKib: BLOCK_KIB });
  for (let index = 0; index < FILES; index += 1) {
    files.push(await volume.addFile(`file-${index}`, FILE_BYTES));
  }
  nodes = await startGroup(NODES, { metaUrl: volume.metaUrl, args: GROUP, compiled: true });
}, 240_000);

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await volume?.stop();
});

/** Each node in an order of its own: turned, and every other one backwards. */
async function readInOrders(readers: readonly TestDaemon[]): Promise<void> {
  const queue = [...readers.entries()];
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [at, { mountpoint }] = next;
      const turned = [...files.slice(at * 6), ...files.slice(0, at * 6)];
      const order = at % 2 === 0 ? turned : turned.toReversed();
      const result = await readAll(mountpoint, order);
      expect(result).toMatchObject({ wrong: [], errors: [], bytes: totalBytes(files) });
    }
  };
  await Promise.all(Array.from({ length: READERS_AT_ONCE }, work));
}

/** Nothing was fetched twice, as far as no node had a reason to. */
async function expectOriginSent(bytes: number): Promise<void> {
  const expected = { bytes, blockBytes: BLOCK_KIB * 1024, datasetBytes: totalBytes(files) };
  expectSentOnce(await originBytes(), expected, await secondFetches(nodes));
}

describe('eight nodes', { timeout: 180_000 }, () => {
  test('read a cold dataset: the origin sends each byte once, and owners serve evenly', async () => {
    await readInOrders(nodes);
    await expectOriginSent(totalBytes(files));
    const served = await Promise.all(
      nodes.map((node) => node.metric('juicefs_mesh_events_total', 'event="served"')),
    );
    const mean = served.reduce((sum, count) => sum + count, 0) / NODES;
    expect(Math.max(...served) / mean).toBeLessThanOrEqual(1.15);
  });

  test('a ninth that joins gets what it reads and what it is to own from the others', async () => {
    const before = await originBytes();
    const args = ['--cache-group', 'test', '--listen', '127.0.0.1:0', ...GROUP];
    const ninth = await startDaemon({
      metaUrl: volume.metaUrl,
      args,
      name: 'node-9',
      compiled: true,
    });
    nodes.push(ninth);
    await untilGrouped(nodes, NODES + 1);
    await readInOrders([ninth, nodes[0] as TestDaemon]);
    await expectOriginSent(before);
    const former = await ninth.metric('juicefs_mesh_source_bytes_total', 'role="former"');
    expect(former).toBeGreaterThan(0);
    // An even share of the blocks would be a ninth.
    expect(former / totalBytes(files)).toBeLessThanOrEqual(1.1 / 9 + 0.03);
  });

  test('a drain of one costs the origin nothing, nor does reading what it had', async () => {
    const before = await originBytes();
    const drained = nodes[1] as TestDaemon;
    const { status, stdout } = await runCli(['drain', drained.mountpoint]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/this node is empty: \d+ blocks/);
    expect(await drained.metric('juicefs_drain_left_bytes')).toBe(0);
    nodes.splice(1, 1);
    await drained.stop();
    await untilGrouped(nodes, NODES);
    await readInOrders([nodes[1] as TestDaemon]);
    await expectOriginSent(before);
  });
});
