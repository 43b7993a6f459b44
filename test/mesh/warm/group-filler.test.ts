import { expect, test } from 'vitest';
import { type BlockId, type BlockKey, blockIdOf } from '../../../src/block/block-key.ts';
import { toNodeId } from '../../../src/block/node-id.ts';
import { GroupFiller } from '../../../src/mesh/warm/group-filler.ts';
import type { OnKept } from '../../../src/mesh/warm/warm-run.ts';
import { memoryMetrics } from '../../../src/runtime/metrics.ts';

const SELF = toNodeId('self');
const OTHER = toNodeId('other');

function keyOf(sliceId: number, sizeBytes = 1000): BlockKey {
  return { sliceId: BigInt(sliceId), index: 0, sizeBytes };
}

/** Blocks of even slices are ours; the owner of the others takes them when it is told to. */
function setUp(options: { bytesMax?: number; isHere?: boolean; alone?: boolean } = {}) {
  const { bytesMax = 10_000, isHere = true, alone = false } = options;
  const taken: OnKept[] = [];
  const landed: BlockId[] = [];
  const metrics = memoryMetrics();
  let fails = false;
  const owners = (id: BlockId) => {
    if (alone) return [];
    return Number(id.split('_')[0]) % 2 === 0 ? [SELF, OTHER] : [OTHER, SELF];
  };
  const filler = new GroupFiller({
    ...{ metrics, bytesMax, isHere: () => isHere, ring: { self: SELF, owners } },
    replicator: { landed: (key) => void landed.push(blockIdOf(key)) },
    handOver: () => ({
      add: async (_, onKept) => {
        if (fails) throw new Error('the run has ended');
        taken.push(onKept);
      },
    }),
  });
  const count = (outcome: string) => metrics.value('group_fill_blocks', { outcome });
  const fail = () => {
    fails = true;
  };
  return { filler, taken, landed, count, fail };
}

test('a block goes to its owner, and one that is ours to those that keep it with us', () => {
  const { filler, taken, landed, count } = setUp();
  filler.fill(keyOf(1));
  filler.fill(keyOf(2));
  expect(landed).toEqual(['2_0_1000']);
  expect(taken).toHaveLength(1);
  taken[0]?.('fetched', undefined);
  expect(count('fetched')).toBe(1);
});

test('owners that are slow get less, and what they took makes room', () => {
  const { filler, taken, count } = setUp({ bytesMax: 2_500 });
  for (const slice of [1, 3, 5]) filler.fill(keyOf(slice));
  expect(taken).toHaveLength(2);
  expect(count('dropped')).toBe(1);
  taken[0]?.('failed', 'it has no room');
  filler.fill(keyOf(7));
  expect([taken.length, count('failed')]).toEqual([3, 1]);
});

test('what is not at hand, and what is written alone or at the end, is not offered', () => {
  const gone = setUp({ isHere: false });
  gone.filler.fill(keyOf(1));
  expect([gone.taken.length, gone.count('dropped')]).toEqual([0, 1]);
  const alone = setUp({ alone: true });
  alone.filler.fill(keyOf(1));
  const ended = setUp();
  ended.filler.stop();
  ended.filler.fill(keyOf(1));
  expect([...alone.taken, ...ended.taken]).toEqual([]);
});

test('a run that has ended costs the blocks only', async () => {
  const { filler, fail, count } = setUp();
  fail();
  filler.fill(keyOf(1));
  await expect.poll(() => count('failed')).toBe(1);
});
