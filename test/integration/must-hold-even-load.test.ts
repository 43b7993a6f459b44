import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NodeId, toNodeId } from '../../src/block/node-id.ts';
import { HashRing } from '../../src/ring/hash-ring.ts';
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
/** The largest share of the ring, over an even one. */
const PEAK_MAX = 1.15;
/** By chance an eighth of so many keys is off by 1 % once in four times, and by 5 % never. */
const SAMPLE_KEYS = 100_000;
/** What a node serves may differ from its due by this part: who is slow is passed over. Seen: 0.1 %. */
const SERVED_OFF_MAX = 0.02;
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

interface Session {
  readonly MountPoint: string;
  readonly CacheMesh: { readonly PeerId: string; readonly Weight: number };
}

/** The ring as each of the nodes builds it, and their names in it, in the order of {@link nodes}. */
async function ringOfNodes(): Promise<{ ring: HashRing; names: NodeId[] }> {
  const { stdout } = await runCli(['status', volume.metaUrl, '--json']);
  const { sessions } = JSON.parse(stdout) as { sessions: readonly Session[] };
  const members = nodes.map(({ mountpoint }) => {
    const session = sessions.find(({ MountPoint }) => MountPoint === mountpoint) as Session;
    return { nodeId: toNodeId(session.CacheMesh.PeerId), weight: session.CacheMesh.Weight };
  });
  return { ring: HashRing.build(members, 1), names: members.map(({ nodeId }) => nodeId) };
}

/** How many of the blocks each of `names` owns. */
function owned(ring: HashRing, names: readonly NodeId[], blocks: readonly string[]): number[] {
  const counts = new Map<NodeId | undefined, number>();
  for (const block of blocks) {
    const owner = ring.owner(block);
    counts.set(owner, (counts.get(owner) ?? 0) + 1);
  }
  return names.map((name) => counts.get(name) ?? 0);
}

/** The names of all blocks of the dataset. */
function datasetBlocks(): string[] {
  const blockBytes = BLOCK_KIB * 1024;
  return files
    .flatMap(({ pieces }) => pieces)
    .flatMap(({ sliceId, length }) =>
      Array.from({ length: length / blockBytes }, (_, at) => `${sliceId}_${at}_${blockBytes}`),
    );
}

/** Nothing was fetched twice, as far as no node had a reason to. */
async function expectOriginSent(bytes: number): Promise<void> {
  const expected = { bytes, blockBytes: BLOCK_KIB * 1024, datasetBytes: totalBytes(files) };
  expectSentOnce(await originBytes(), expected, await secondFetches(nodes));
}

describe('eight nodes', { timeout: 180_000 }, () => {
  test('read a cold dataset: the origin sends each byte once', async () => {
    await readInOrders(nodes);
    await expectOriginSent(totalBytes(files));
    expect(await originBytes()).toBeGreaterThanOrEqual(totalBytes(files));
  });

  /**
   * A node's share of 2,000 blocks is right by 6 % (one standard deviation of what chance gives 250
   * blocks), so the largest of eight is beyond 1.15 in one run of some tens, whatever the ring does. What
   * is the ring's doing is seen with many more keys; what the nodes do is seen with these blocks, since the
   * ring tells whose they are: an owner sends each of them to the seven others, once.
   */
  test('and the owners have served it evenly', async () => {
    const { ring, names } = await ringOfNodes();
    const samples = Array.from({ length: SAMPLE_KEYS }, (_, at) => `${at}_0_4194304`);
    const peak = Math.max(...owned(ring, names, samples)) / (SAMPLE_KEYS / NODES);
    expect(peak).toBeLessThanOrEqual(PEAK_MAX);
    const blocks = owned(ring, names, datasetBlocks());
    const served = await Promise.all(
      nodes.map((node) => node.metric('juicefs_remotecache_served_bytes')),
    );
    const off = served.map((bytes, at) => {
      const due = (blocks[at] as number) * BLOCK_KIB * 1024 * (NODES - 1);
      return Math.abs(bytes / due - 1);
    });
    expect(Math.max(...off), `${served.join()} of ${blocks.join()}`).toBeLessThanOrEqual(
      SERVED_OFF_MAX,
    );
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
