import { beforeEach, expect, test } from 'vitest';
import { type BlockId, type BlockKey, blockIdOf } from '../../../src/block/block-key.ts';
import { toNodeId } from '../../../src/block/node-id.ts';
import { GroupRing } from '../../../src/mesh/group-ring.ts';
import { Drain } from '../../../src/mesh/warm/drain.ts';
import { WarmMetrics } from '../../../src/mesh/warm/warm-metrics.ts';
import type { KeptAs, OnKept } from '../../../src/mesh/warm/warm-run.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { type MemoryMetrics, memoryMetrics } from '../../../src/runtime/metrics.ts';
import { type ManualClock, manualClock, settle } from '../../store/manual-clock.ts';
import { PlainMemoryTier, SlowDisk } from '../doubles.ts';

const KEYS: readonly BlockKey[] = [1n, 2n, 3n].map((sliceId) => ({
  sliceId,
  index: 0,
  sizeBytes: 100,
}));

/** What was offered to whom and has no answer yet. */
interface Offer {
  readonly id: BlockId;
  readonly holder: number;
  readonly answer: (kept: KeptAs) => void;
}

let clock: ManualClock;
let metrics: MemoryMetrics;
let memory: PlainMemoryTier;
let disk: SlowDisk;
let offers: Offer[];

beforeEach(() => {
  clock = manualClock();
  metrics = memoryMetrics();
  memory = new PlainMemoryTier();
  disk = new SlowDisk();
  offers = [];
  for (const key of KEYS) disk.blocks.set(blockIdOf(key), new Uint8Array(100));
  memory.blocks.set(blockIdOf(KEYS[0] as BlockKey), new Uint8Array(100));
});

function drainOf(members: number, replicas = 1): Drain {
  const view = {
    epoch: 1,
    members: Array.from({ length: members }, (_, n) => ({
      nodeId: toNodeId(`node-${n}`),
      addresses: [],
      weight: n === 0 ? 0 : 100,
    })),
  };
  const membership = {
    current: () => view,
    subscribe: () => () => undefined,
    start: async () => undefined,
    stop: async () => undefined,
  };
  return new Drain({
    ring: new GroupRing(toNodeId('node-0'), membership, { clock, replicas }),
    memory,
    disk,
    replicas,
    handOver: ({ holder }) => {
      const open = new Set<Promise<void>>();
      return {
        add: async (key: BlockKey, onKept: OnKept) => {
          const done = Promise.withResolvers<void>();
          open.add(done.promise);
          const answer = (kept: KeptAs) => {
            onKept(kept, kept === 'failed' ? 'it is full' : undefined);
            done.resolve();
          };
          offers.push({ id: blockIdOf(key), holder, answer });
        },
        finish: async () => {
          await Promise.all(open);
        },
      };
    },
    clock,
    metrics: new WarmMetrics(metrics),
    logger: silentLogger,
  });
}

async function answer(kept: (offer: Offer) => KeptAs): Promise<void> {
  for (const offer of offers.splice(0)) offer.answer(kept(offer));
  await settle();
}

test('blocks are dropped as they are taken, and those without a taker are offered again', async () => {
  const drain = drainOf(3);
  drain.begin();
  await settle();
  expect(offers.map(({ id }) => id)).toEqual(KEYS.map(blockIdOf));
  const [full] = KEYS.map(blockIdOf);
  await answer(({ id }) => (id === full ? 'failed' : 'fetched'));
  expect([...disk.blocks.keys()]).toEqual([full]);
  expect(memory.has(full as BlockId)).toBe(true);
  expect(drain.progress).toMatchObject({
    state: 'draining',
    blocksDone: 2,
    bytesDone: 200,
    blocksFailed: 1,
    error: 'it is full',
  });
  expect(offers).toEqual([]);
  await clock.advance(2_000);
  expect(offers.map(({ id }) => id)).toEqual([full]);
  await answer(() => 'held');
  expect(disk.blocks.size + memory.blocks.size).toBe(0);
  expect(drain.progress).toMatchObject({
    state: 'empty',
    blocksDone: 3,
    blocksHeld: 1,
    blocksLeft: 0,
    bytesLeft: 0,
    blocksFailed: 0,
    error: undefined,
    elapsedMs: 2_000,
  });
  expect(metrics.value('drain_bytes', { outcome: 'fetched' })).toBe(200);
});

test('with replicas a block is dropped when all who are to keep it have it', async () => {
  const drain = drainOf(4, 2);
  drain.begin();
  await settle();
  expect(offers).toHaveLength(6);
  const late = offers.filter(({ holder }) => holder === 1);
  offers = offers.filter(({ holder }) => holder === 0);
  await answer(() => 'fetched');
  expect(disk.blocks.size).toBe(3);
  offers = late;
  await answer(() => 'fetched');
  expect(disk.blocks.size).toBe(0);
  expect(drain.progress.state).toBe('empty');
});

test('in a group with fewer members than copies those that exist are enough', async () => {
  const drain = drainOf(2, 3);
  drain.begin();
  await settle();
  expect(offers).toHaveLength(3);
  await answer(() => 'fetched');
  expect(drain.progress.state).toBe('empty');
});

test('a drain that was ended offers nothing any more, and can begin anew', async () => {
  const drain = drainOf(3);
  drain.begin();
  await settle();
  await answer(() => 'failed');
  drain.end();
  await clock.advance(10_000);
  expect(offers).toEqual([]);
  expect(drain.progress).toMatchObject({ state: 'off', elapsedMs: 0 });
  expect(disk.blocks.size).toBe(3);
  drain.begin();
  await settle();
  await answer(() => 'fetched');
  expect(drain.progress).toMatchObject({ state: 'empty', blocksDone: 3 });
});

test('what peers bring meanwhile goes, too', async () => {
  const drain = drainOf(3);
  drain.begin();
  await settle();
  disk.blocks.set(blockIdOf({ sliceId: 9n, index: 0, sizeBytes: 50 }), new Uint8Array(50));
  await answer(() => 'fetched');
  expect(offers.map(({ id }) => id)).toEqual(['9_0_50']);
  await answer(() => 'fetched');
  expect(drain.progress).toMatchObject({ state: 'empty', blocksDone: 4, bytesDone: 350 });
});
