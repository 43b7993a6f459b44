import { describe, expect, test } from 'vitest';
import { type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import { toNodeId } from '../../src/block/node-id.ts';
import { BlockRoute, type RouteParts } from '../../src/mesh/block-route.ts';
import { BlockServer } from '../../src/mesh/block-server.ts';
import { GroupRing } from '../../src/mesh/group-ring.ts';
import { HotBlocks } from '../../src/mesh/hot-blocks.ts';
import { LoadMetrics } from '../../src/mesh/load-metrics.ts';
import { LocalBlocks } from '../../src/mesh/local-blocks.ts';
import { MeshLoader } from '../../src/mesh/mesh-loader.ts';
import type { StagedBlocks } from '../../src/mesh/stage-source.ts';
import { type GroupView, PeerError } from '../../src/peer/block-exchange.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { LeaseTable } from '../../src/runtime/lease-table.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { StoreError } from '../../src/store/object-store.ts';
import type { DiskTier } from '../../src/store/tier.ts';
import { bytesOf, GatedSource, PlainMemoryTier, SlowDisk } from './doubles.ts';

const KEY: BlockKey = { sliceId: 7n, index: 2, sizeBytes: 100_000 };
const ID = blockIdOf(KEY);
const WHOLE = { offset: 0, length: KEY.sizeBytes };
const SELF = toNodeId('self');
const OTHER = toNodeId('other');
const signal = new AbortController().signal;

interface SetUp {
  owner?: 'self' | 'other';
  open?: boolean;
  keep?: boolean;
  disk?: DiskTier;
  staged?: StagedBlocks;
  strays?: RouteParts['strays'];
}

/** The block waits on this node's disk to be uploaded. */
function stagedBlocks(read: StagedBlocks['read']): StagedBlocks {
  return { has: (id) => id === ID, read };
}

function setUp(options: SetUp = {}) {
  const memory = new PlainMemoryTier();
  const origin = new GatedSource({ open: options.open ?? true });
  const peer = new GatedSource({ open: options.open ?? true });
  const metrics = memoryMetrics();
  const loads = new LoadMetrics(metrics);
  const failures: string[] = [];
  const members = [
    { nodeId: SELF, addresses: [], weight: options.owner === 'self' ? 1 : 0 },
    { nodeId: OTHER, addresses: [], weight: options.owner === 'other' ? 1 : 0 },
  ];
  const view: GroupView = { epoch: 1, members };
  const membership = {
    current: () => view,
    subscribe: () => () => undefined,
    start: async () => undefined,
    stop: async () => undefined,
  };
  const group =
    options.owner === undefined
      ? undefined
      : {
          ring: new GroupRing(SELF, membership, { clock: systemClock }),
          client: {
            fill: (_node: string, ...rest: Parameters<GatedSource['fill']>) => peer.fill(...rest),
            getMany: () => Promise.reject(new Error('not asked for here')),
            holds: async () => [],
          },
          health: { quantileMs: () => undefined },
          reportFailure: (node: string) => void failures.push(node),
        };
  const shared = {
    clock: systemClock,
    random: systemRandom,
    metrics: loads,
    logger: silentLogger,
  };
  const { disk, staged, strays } = options;
  const route = new BlockRoute({ ...shared, origin, staged, strays, group, replicas: 1 });
  const loader = new MeshLoader({
    memory,
    local: new LocalBlocks({ ...shared, memory, disk, leases: LeaseTable.create(4) }),
    route,
    rangeable: true,
    keepInMemory: options.keep ?? true,
    prefetchWorkers: 1,
    clock: systemClock,
    metrics: loads,
    logger: silentLogger,
  });
  const hot = new HotBlocks(shared);
  const server = new BlockServer({
    loader,
    route,
    tiers: { memory, disk: undefined },
    hot,
    metrics: loads,
  });
  return { memory, origin, peer, metrics, loader, failures, server };
}

describe('the load path', () => {
  test('a miss comes from the origin once, later reads from memory', async () => {
    const { loader, origin, memory, metrics } = setUp();
    const first = await loader.read(KEY, WHOLE, { whole: true, signal });
    expect(first.from).toBe('origin');
    expect(new Uint8Array(first.bytes)).toEqual(bytesOf(KEY));
    first.release();
    const second = await loader.read(KEY, { offset: 5, length: 10 }, { whole: false, signal });
    expect(second.from).toBe('memory');
    expect(new Uint8Array(second.bytes)).toEqual(bytesOf(KEY).subarray(5, 15));
    second.release();
    expect(origin.calls).toHaveLength(1);
    expect(memory.held).toBe(0);
    expect(metrics.value('mesh_read_bytes_total', { from: 'origin' })).toBe(KEY.sizeBytes);
    expect(metrics.value('mesh_reads_total', { from: 'memory' })).toBe(1);
  });

  test('readers of one block share one flight and get their part before the block is complete', async () => {
    const { loader, origin } = setUp({ open: false });
    const early = loader.read(KEY, { offset: 0, length: 1000 }, { whole: true, signal });
    const late = loader.read(KEY, { offset: 90_000, length: 1000 }, { whole: true, signal });
    let lateDone = false;
    void late.then(() => {
      lateDone = true;
    });
    await Promise.resolve();
    origin.release(50_000);
    const first = await early;
    expect(new Uint8Array(first.bytes)).toEqual(bytesOf(KEY).subarray(0, 1000));
    expect(lateDone).toBe(false);
    origin.release(KEY.sizeBytes);
    (await late).release();
    first.release();
    expect(origin.calls).toHaveLength(1);
  });

  test('a small part of a block is brought alone; the second one brings the block behind it', async () => {
    const { loader, origin, memory } = setUp();
    const part = { offset: 40_000, length: 4096 };
    const first = await loader.read(KEY, part, { whole: false, signal });
    expect(new Uint8Array(first.bytes)).toEqual(bytesOf(KEY).subarray(40_000, 44_096));
    expect(origin.calls).toEqual([{ id: ID, range: part }]);
    expect(memory.has(ID)).toBe(false);
    (await loader.read(KEY, { offset: 8192, length: 4096 }, { whole: false, signal })).release();
    await expect.poll(() => memory.has(ID)).toBe(true);
    first.release();
  });

  test('a peer that owns the block is asked before the origin', async () => {
    const { loader, origin, peer } = setUp({ owner: 'other' });
    const read = await loader.read(KEY, WHOLE, { whole: true, signal });
    expect(read.from).toBe('peer');
    expect(new Uint8Array(read.bytes)).toEqual(bytesOf(KEY));
    expect(peer.calls).toHaveLength(1);
    expect(origin.calls).toHaveLength(0);
    read.release();
  });

  test('a peer that fails midway is followed by the origin from where it stopped', async () => {
    const { loader, origin, peer, failures } = setUp({ owner: 'other', open: false });
    origin.release(Number.POSITIVE_INFINITY);
    const reading = loader.read(KEY, WHOLE, { whole: true, signal });
    peer.release(30_000, new PeerError('unreachable', 'gone'));
    const read = await reading;
    expect(new Uint8Array(read.bytes)).toEqual(bytesOf(KEY));
    expect(origin.calls).toEqual([{ id: ID, range: { offset: 30_000, length: 70_000 } }]);
    expect(failures).toEqual([OTHER]);
    read.release();
  });

  test('an origin that gives whole blocks only is asked for the whole when a peer failed midway', async () => {
    const { loader, origin, peer } = setUp({ owner: 'other', open: false });
    origin.rangeable = false;
    origin.release(Number.POSITIVE_INFINITY);
    const reading = loader.read(KEY, WHOLE, { whole: true, signal });
    peer.release(30_000, new PeerError('corrupt', 'bad checksum'));
    const read = await reading;
    expect(new Uint8Array(read.bytes)).toEqual(bytesOf(KEY));
    expect(origin.calls).toEqual([{ id: ID, range: WHOLE }]);
    read.release();
  });

  test('a peer that only refuses (busy) is not reported as failing', async () => {
    const { loader, peer, failures } = setUp({ owner: 'other' });
    peer.release(0, new PeerError('busy', 'later'));
    (await loader.read(KEY, WHOLE, { whole: true, signal })).release();
    expect(failures).toEqual([]);
  });

  test('a peer that cannot be talked to is left alone for a while, and not reported', async () => {
    const { loader, peer, failures, origin } = setUp({ owner: 'other' });
    peer.release(0, new PeerError('encryption', 'start all members with --encrypt, or none'));
    (await loader.read(KEY, WHOLE, { whole: true, signal })).release();
    const asked = peer.calls.length;
    expect(asked).toBe(1);
    const other = { ...KEY, sliceId: KEY.sliceId + 1n };
    (await loader.read(other, WHOLE, { whole: true, signal })).release();
    expect(peer.calls).toHaveLength(asked);
    expect(origin.calls).toHaveLength(2);
    expect(failures).toEqual([]);
  });

  test('a missing object is an error that says so, and the next read tries again', async () => {
    const { loader, origin, memory } = setUp({ open: false });
    origin.release(0, new StoreError('not-found', 'no object x'));
    const failed = loader.read(KEY, WHOLE, { whole: true, signal });
    await expect(failed).rejects.toMatchObject({ code: 'missing', message: 'no object x' });
    expect(memory.reserved).toBe(0);
    origin.release(Number.POSITIVE_INFINITY);
    (await loader.read(KEY, WHOLE, { whole: true, signal })).release();
    expect(origin.calls).toHaveLength(2);
  });

  test('a reader that gives up does not end the flight of the others', async () => {
    const { loader, origin, memory } = setUp({ open: false });
    const impatient = new AbortController();
    const leaving = loader.read(KEY, WHOLE, { whole: true, signal: impatient.signal });
    const staying = loader.read(KEY, WHOLE, { whole: true, signal });
    await Promise.resolve();
    impatient.abort(new Error('interrupted'));
    await expect(leaving).rejects.toThrow('interrupted');
    origin.release(KEY.sizeBytes);
    const read = await staying;
    expect(new Uint8Array(read.bytes)).toEqual(bytesOf(KEY));
    read.release();
    expect(memory.held).toBe(0);
  });

  test('memory of a flight is kept while a reader holds a part of it', async () => {
    const { loader, origin, memory } = setUp({ open: false, keep: false });
    const reading = loader.read(KEY, { offset: 0, length: 10 }, { whole: true, signal });
    await Promise.resolve();
    origin.release(KEY.sizeBytes);
    const read = await reading;
    await expect.poll(() => memory.reserved).toBe(0);
    expect(new Uint8Array(read.bytes)).toEqual(bytesOf(KEY).subarray(0, 10));
    expect(memory.held).toBe(1);
    read.release();
    expect(memory.held).toBe(0);
  });

  test('a block that memory does not keep is not fetched again while the disk takes it', async () => {
    const disk = new SlowDisk();
    const { loader, origin, memory } = setUp({ keep: false, disk });
    (await loader.read(KEY, WHOLE, { whole: true, signal })).release();
    await expect.poll(() => disk.writing.length).toBe(1);
    const second = await loader.read(KEY, { offset: 5, length: 10 }, { whole: true, signal });
    expect(new Uint8Array(second.bytes)).toEqual(bytesOf(KEY).subarray(5, 15));
    second.release();
    disk.write();
    expect(memory.held).toBe(0);
    expect((await loader.read(KEY, WHOLE, { whole: true, signal })).from).toBe('disk');
    expect(origin.calls).toHaveLength(1);
  });

  test('a block that came to the disk while a read looked there is not fetched again', async () => {
    const disk = new SlowDisk();
    const { loader, origin } = setUp({ disk });
    disk.isSlow = true;
    const reading = loader.read(KEY, WHOLE, { whole: true, signal });
    await Promise.resolve();
    disk.put(ID, bytesOf(KEY), () => undefined);
    disk.write();
    disk.answer();
    expect((await reading).from).toBe('disk');
    expect(origin.calls).toHaveLength(0);
  });

  test('without room in memory the bytes come all the same', async () => {
    const { loader, memory, metrics } = setUp();
    memory.full = true;
    const read = await loader.read(KEY, WHOLE, { whole: true, signal });
    expect(new Uint8Array(read.bytes)).toEqual(bytesOf(KEY));
    expect(metrics.value('mesh_events_total', { event: 'uncached' })).toBe(1);
    read.release();
  });

  test('stopping ends flights and their readers', async () => {
    const { loader, memory } = setUp({ open: false });
    const reading = loader.read(KEY, WHOLE, { whole: true, signal });
    const outcome = reading.then(
      () => 'read',
      (error: { code: string }) => error.code,
    );
    await Promise.resolve();
    await loader.stop();
    expect(await outcome).toBe('failed');
    expect(memory.reserved).toBe(0);
  });
});

describe('serving peers', () => {
  test('a request of a peer never waits for another peer', async () => {
    const { loader, origin, peer, server } = setUp({ owner: 'other', open: false });
    const own = loader.read(KEY, WHOLE, { whole: true, signal });
    await expect.poll(() => peer.calls.length).toBe(1);
    origin.release(Number.POSITIVE_INFINITY);
    const served: Buffer[] = [];
    const asked = { peer: OTHER, mode: 'final' as const };
    for await (const piece of server.serve(KEY, WHOLE, signal, asked)) {
      served.push(Buffer.from(piece));
    }
    expect(new Uint8Array(Buffer.concat(served))).toEqual(bytesOf(KEY));
    peer.release(KEY.sizeBytes);
    (await own).release();
  });

  test('says where it holds blocks', async () => {
    const { loader, server } = setUp({ owner: 'self' });
    (await loader.read(KEY, WHOLE, { whole: true, signal })).release();
    const other = blockIdOf({ ...KEY, index: 3 });
    expect(server.holds([ID, other])).toEqual(['memory', undefined]);
  });
});

describe('a block that waits here to be uploaded', () => {
  const staged = stagedBlocks(async (key, { offset, length }, into) => {
    into.set(bytesOf(key).subarray(offset, offset + length));
    return true;
  });

  test.each(['self', 'other'] as const)('is read from here when its owner is %s', async (owner) => {
    const { loader, origin, peer, metrics } = setUp({ owner, staged });
    expect(loader.isAtHand(KEY)).toBe(true);
    const part = await loader.read(KEY, { offset: 40_000, length: 10 }, { whole: false, signal });
    expect(new Uint8Array(part.bytes)).toEqual(bytesOf(KEY).subarray(40_000, 40_010));
    part.release();
    const whole = await loader.read(KEY, WHOLE, { whole: true, signal });
    expect(whole.from).toBe('disk');
    expect(new Uint8Array(whole.bytes)).toEqual(bytesOf(KEY));
    whole.release();
    expect([...origin.calls, ...peer.calls]).toEqual([]);
    expect(metrics.value('mesh_events_total', { event: 'staged-read' })).toBe(2);
  });

  test.each(['any', 'final', 'held'] as const)(
    'is given to peers that ask for %s',
    async (mode) => {
      const { server, origin, peer } = setUp({ owner: 'other', staged });
      const parts: Uint8Array[] = [];
      for await (const part of server.serve(KEY, WHOLE, signal, { mode, peer: OTHER })) {
        parts.push(part.slice());
      }
      expect(new Uint8Array(Buffer.concat(parts))).toEqual(bytesOf(KEY));
      expect(server.holds([ID])).toEqual(['memory']);
      expect([...origin.calls, ...peer.calls]).toEqual([]);
    },
  );

  test('comes from the origin when it was uploaded meanwhile, or cannot be read here', async () => {
    const broken = () => Promise.reject(new Error('the disk broke'));
    for (const read of [async () => false, broken]) {
      const { loader, origin } = setUp({ owner: 'other', staged: stagedBlocks(read) });
      const whole = await loader.read(KEY, WHOLE, { whole: true, signal });
      expect(new Uint8Array(whole.bytes)).toEqual(bytesOf(KEY));
      expect(whole.from).toBe('origin');
      whole.release();
      expect(origin.calls).toHaveLength(1);
    }
  });
});

describe('a block that the origin does not have', () => {
  const missing = () => new StoreError('not-found', 'no object x');

  test('comes from whoever else has it', async () => {
    const find = async () => OTHER;
    const { loader, origin, peer } = setUp({ owner: 'self', open: false, strays: { find } });
    const reading = loader.read(KEY, WHOLE, { whole: true, signal });
    await expect.poll(() => origin.calls.length).toBe(1);
    origin.release(0, missing());
    await expect.poll(() => peer.calls.length).toBe(1);
    peer.release(KEY.sizeBytes);
    const whole = await reading;
    expect([whole.from, new Uint8Array(whole.bytes)]).toEqual(['peer', bytesOf(KEY)]);
    whole.release();
  });

  test('goes on behind the bytes that another source has brought', async () => {
    const find = async () => OTHER;
    const { loader, origin, peer } = setUp({ owner: 'other', open: false, strays: { find } });
    const reading = loader.read(KEY, WHOLE, { whole: true, signal });
    await expect.poll(() => peer.calls.length).toBe(1);
    peer.release(1000, new PeerError('failed', 'it has lost it'));
    await expect.poll(() => origin.calls.length).toBe(1);
    // It answers the next one.
    peer.release(0);
    origin.release(0, missing());
    await expect.poll(() => peer.calls.length).toBe(2);
    expect(peer.calls[1]?.range).toEqual({ offset: 1000, length: KEY.sizeBytes - 1000 });
    peer.release(KEY.sizeBytes);
    const whole = await reading;
    expect(new Uint8Array(whole.bytes)).toEqual(bytesOf(KEY));
    whole.release();
  });

  test('is missing when nobody has it, or who had it has lost it', async () => {
    for (const found of [undefined, OTHER]) {
      const find = async () => found;
      const { loader, origin, peer } = setUp({ owner: 'self', open: false, strays: { find } });
      const reading = loader.read(KEY, WHOLE, { whole: true, signal });
      const failure = reading.catch((error: unknown) => error);
      await expect.poll(() => origin.calls.length).toBe(1);
      origin.release(0, missing());
      await expect.poll(() => peer.calls.length).toBe(found === undefined ? 0 : 1);
      peer.release(0, new PeerError('absent', 'not here'));
      expect(await failure).toMatchObject({ code: 'missing' });
    }
  });
});
