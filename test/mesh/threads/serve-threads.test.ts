import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { type BlockKey, blockIdOf } from '../../../src/block/block-key.ts';
import type { BlockHandler, PeerError } from '../../../src/peer/block-exchange.ts';
import { type Clock, systemClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { systemRandom } from '../../../src/runtime/random.ts';
import { DirectoryDiskTier } from '../../../src/store/disk-tier.ts';
import { allBlocks, bytesOf, makeHost, makePair } from '../../peer/test-hosts.ts';
import { makeTempDir } from '../../servers/temp.ts';
import { manualClock } from '../../store/manual-clock.ts';
import { makeThreadTiers, type ThreadTiers } from './thread-tiers.ts';

const never = new AbortController().signal;
const MIB = 1024 * 1024;
/** After this another thread takes the place of one that died. */
const RESTART_MS = 1000;
let cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  cleanUps = [];
});

function keyOf(number: number, sizeBytes = 200_000): BlockKey {
  return { sliceId: BigInt(number + 1), index: 0, sizeBytes };
}

/** A handler of the main thread that must not be asked. */
const NOBODY: BlockHandler = {
  serve: () => {
    throw new Error('the main thread was asked');
  },
  holds: () => [],
};

async function pairOf(
  tiers: ThreadTiers,
  handler: BlockHandler,
  count = 1,
  clock: Clock = systemClock,
) {
  cleanUps.push(() => tiers.tier.close());
  const pair = await makePair(handler, { server: { listener: tiers.listener(count, clock) } });
  cleanUps.push(pair.stop);
  const { client } = pair.client.host;
  const server = pair.server.host.nodeId;
  const port = pair.server.host.bulkPort;
  const get = async (key: BlockKey, range = { offset: 0, length: key.sizeBytes }) => {
    const into = new Uint8Array(range.length);
    await client.fill(server, key, range, into, { signal: never });
    return into;
  };
  return { client, server, port, get };
}

describe.each([true, false])('with the arena at an address: %s', (withLibc) => {
  test('threads serve what is in memory without the main thread', async () => {
    const tiers = makeThreadTiers({ cacheBytes: 4 * MIB, slabBytes: MIB }, withLibc);
    const { client, server, get } = await pairOf(tiers, NOBODY, 2);
    const keys = Array.from({ length: 10 }, (_, number) => keyOf(number));
    for (const key of keys) tiers.put(key);
    await Promise.all(
      [...keys, ...keys, ...keys].map(async (key, index) => {
        const range = { offset: index * 1000, length: key.sizeBytes - index * 2000 };
        const expected = bytesOf(key).subarray(range.offset, range.offset + range.length);
        expect(Buffer.compare(await get(key, range), expected)).toBe(0);
      }),
    );
    const errors: (PeerError | undefined)[] = [];
    const wanted = keys.map((key) => ({
      ...{ key, into: new Uint8Array(key.sizeBytes) },
      onDone: (error: PeerError | undefined) => void errors.push(error),
    }));
    await client.getMany(server, wanted, { signal: never });
    expect(errors).toEqual(keys.map(() => undefined));
    for (const { key, into } of wanted) expect(Buffer.compare(into, bytesOf(key))).toBe(0);
    const served = () => tiers.metrics.value('remotecache_served_blocks');
    await expect.poll(served).toBe(40);
    expect(tiers.metrics.value('mesh_events_total', { event: 'served' })).toBe(40);
  });

  test('bytes stay right while blocks come and go under the readers', async () => {
    const tiers = makeThreadTiers({ cacheBytes: 3 * MIB, slabBytes: MIB }, withLibc);
    const good = allBlocks(100_000);
    const { get } = await pairOf(tiers, good, 2);
    const contents = new Map<number, Uint8Array>();
    const bytesFor = (key: BlockKey) => {
      const bytes = contents.get(Number(key.sliceId)) ?? bytesOf(key);
      contents.set(Number(key.sliceId), bytes);
      return bytes;
    };
    let reads = 0;
    const isOver = () => reads >= 600;
    const reader = async (first: number) => {
      for (let number = first; !isOver(); number += 7) {
        const key = keyOf(number % 60, 30_000 + ((number % 60) % 7) * 40_000);
        expect(Buffer.compare(await get(key), bytesFor(key))).toBe(0);
        reads += 1;
      }
    };
    const churn = async () => {
      for (let number = 0; !isOver(); number += 1) {
        const key = keyOf(number % 60, 30_000 + ((number % 60) % 7) * 40_000);
        if (number % 5 === 0) tiers.tier.delete(blockIdOf(key));
        else if (!tiers.tier.has(blockIdOf(key))) tiers.put(key, bytesFor(key));
        if (number % 3 === 0) await sleep(1);
      }
    };
    await Promise.all([churn(), ...[0, 1, 2, 3, 4, 5].map(reader)]);
    const hits = tiers.metrics.value('mesh_reads_total', { from: 'memory' });
    expect(hits).toBeGreaterThan(50);
    expect(tiers.metrics.value('remotecache_served_errors', { reason: 'failed' })).toBe(0);
  }, 60_000);
});

test('an open cache file is read by the thread, and one that has gone by the main thread', async () => {
  const tiers = makeThreadTiers({ cacheBytes: MIB, slabBytes: MIB });
  const disk = new DirectoryDiskTier({
    directories: [await makeTempDir('threads')],
    ...{ volumeUuid: 'v', cacheBytes: 64 * MIB, freeSpaceRatio: 0, fileMode: 0o600 },
    ...{ checksums: 'once', eviction: 'steady', queueBytesMax: 8 * MIB, openFilesMax: 16 },
    ...{ ioTimeoutMs: 30_000, leases: tiers.leases, ...tiers.files },
    ...{ clock: systemClock, random: systemRandom, log: silentLogger, metrics: tiers.metrics },
  });
  await disk.start();
  cleanUps.push(() => disk.stop());
  let asked = 0;
  const good = allBlocks();
  const { get } = await pairOf(tiers, {
    ...good,
    serve(...args) {
      asked += 1;
      return good.serve(...args);
    },
  });
  const key = keyOf(1, 700_000);
  disk.put(blockIdOf(key), bytesOf(key), () => undefined);
  await disk.flushed();
  // The first reader has the file checked; then threads may read it.
  const file = await disk.open(blockIdOf(key), never);
  await expect.poll(() => file?.lease).toBeDefined();
  file?.release();
  expect(Buffer.compare(await get(key), bytesOf(key))).toBe(0);
  const range = { offset: 300_001, length: 262_145 };
  const expected = bytesOf(key).subarray(range.offset, range.offset + range.length);
  expect(Buffer.compare(await get(key, range), expected)).toBe(0);
  expect(asked).toBe(0);
  disk.delete(blockIdOf(key));
  expect(Buffer.compare(await get(key), bytesOf(key))).toBe(0);
  expect(asked).toBe(1);
  const disks = () => tiers.metrics.value('mesh_reads_total', { from: 'disk' });
  await expect.poll(disks).toBe(2);
});

test('what the main thread brings is released when it was sent, and when the reader goes', async () => {
  const tiers = makeThreadTiers({ cacheBytes: 4 * MIB, slabBytes: MIB });
  let held = 0;
  const { client, server } = await pairOf(tiers, {
    async *serve(key, range, signal) {
      const room = tiers.tier.reserve(key.sizeBytes);
      if (room === undefined) throw new Error('no room');
      held += 1;
      try {
        room.bytes.set(bytesOf(key));
        for (let at = range.offset; at < range.offset + range.length; at += 50_000) {
          if (signal.aborted) return;
          yield room.bytes.subarray(at, Math.min(at + 50_000, range.offset + range.length));
        }
      } finally {
        room.bytes.fill(0xdd);
        room.abandon();
        held -= 1;
      }
    },
    holds: () => [],
  });
  const keys = Array.from({ length: 12 }, (_, number) => keyOf(number, 300_000));
  const outcomes = await Promise.allSettled(
    keys.map(async (key, index) => {
      const controller = new AbortController();
      const into = new Uint8Array(key.sizeBytes);
      const onProgress = (ready: number) => {
        if (index % 2 === 1 && ready > 100_000) controller.abort(new Error('enough'));
      };
      const { signal } = controller;
      const range = { offset: 0, length: key.sizeBytes };
      await client.fill(server, key, range, into, { signal, onProgress });
      expect(Buffer.compare(into, bytesOf(key))).toBe(0);
    }),
  );
  const failed = outcomes.filter(({ status }) => status === 'rejected');
  expect(failed.length).toBe(6);
  await expect.poll(() => held).toBe(0);
});

test('a port that is taken is said so', async () => {
  const tiers = makeThreadTiers({ cacheBytes: MIB, slabBytes: MIB });
  cleanUps.push(() => tiers.tier.close());
  const taken: Server = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  cleanUps.push(() => void taken.close());
  const { port } = taken.address() as { port: number };
  const { host } = await makeHost(NOBODY, { listener: tiers.listener(2), bulkPort: port });
  await expect(host.start()).rejects.toMatchObject({
    code: 'failed',
    message: expect.stringMatching(/EADDRINUSE/),
  });
});

test('a thread that dies fails its requests, is counted, and another one takes its place', async () => {
  const workers: Worker[] = [];
  const onWorker = (worker: Worker) => void workers.push(worker);
  process.on('worker', onWorker);
  cleanUps.push(() => void process.off('worker', onWorker));
  const tiers = makeThreadTiers({ cacheBytes: MIB, slabBytes: MIB });
  const stopped = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const good = allBlocks();
  const { client, server, get } = await pairOf(tiers, {
    ...good,
    async *serve(key, range, signal, asked) {
      if (key.sliceId === 1n) {
        begun.resolve();
        signal.addEventListener('abort', () => stopped.resolve(), { once: true });
        await stopped.promise;
      }
      yield* good.serve(key, range, signal, asked);
    },
  });
  const key = keyOf(0);
  const range = { offset: 0, length: key.sizeBytes };
  const into = new Uint8Array(key.sizeBytes);
  const filled = client.fill(server, key, range, into, { signal: never });
  filled.catch(() => undefined);
  await begun.promise;
  expect(workers.length).toBe(1);
  await workers[0]?.terminate();
  await expect(filled).rejects.toMatchObject({ code: 'unreachable' });
  // The main thread does not go on for a thread that is gone.
  await stopped.promise;
  expect(tiers.metrics.value('remotecache_thread_deaths')).toBe(1);
  const next = keyOf(5);
  const again = async () => Buffer.compare(await get(next).catch(() => into), bytesOf(next));
  await expect.poll(again, { timeout: 10_000, interval: 200 }).toBe(0);
});

test('a thread that cannot listen is started again until it can', async () => {
  const workers: Worker[] = [];
  const onWorker = (worker: Worker) => void workers.push(worker);
  process.on('worker', onWorker);
  cleanUps.push(() => void process.off('worker', onWorker));
  const clock = manualClock();
  const tiers = makeThreadTiers({ cacheBytes: MIB, slabBytes: MIB });
  const { port, get } = await pairOf(tiers, NOBODY, 1, clock);
  const key = keyOf(0);
  tiers.put(key);
  expect(Buffer.compare(await get(key), bytesOf(key))).toBe(0);
  // Time stands still: nobody takes its place before the port is taken.
  await workers[0]?.terminate();
  const squatter = createServer();
  await once(squatter.listen(port, '127.0.0.1'), 'listening');
  for (let count = 2; count <= 3; count += 1) {
    await clock.advance(RESTART_MS);
    expect(workers.length).toBe(count);
    // It cannot listen, and goes.
    await once(workers[count - 1] as Worker, 'exit');
  }
  await new Promise((resolve) => squatter.close(resolve));
  await clock.advance(RESTART_MS);
  const again = async () =>
    Buffer.compare(await get(key).catch(() => new Uint8Array(1)), bytesOf(key));
  await expect.poll(again, { interval: 200 }).toBe(0);
});
