import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import { pieceSums } from '../../src/block/piece-sums.ts';
import { SharedBlocks } from '../../src/mesh/shared-blocks.ts';
import type { HeldRange } from '../../src/peer/block-exchange.ts';
import { LeaseTable } from '../../src/runtime/lease-table.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { loadLibc } from '../../src/runtime/system/libc.ts';
import { BlockIndex } from '../../src/store/block-index.ts';
import { memorySlotCount, MemoryTierArena } from '../../src/store/memory-tier.ts';
import { SumTable } from '../../src/store/sum-table.ts';
import { bytesOf } from './doubles.ts';

const KIB = 1024;

function setUp(libc: ReturnType<typeof loadLibc>) {
  const memory = { cacheBytes: 1536 * KIB, bufferBytes: 512 * KIB, slabBytes: 256 * KIB };
  const slots = { firstSlot: 3, slotCount: memorySlotCount(memory) };
  const leases = LeaseTable.create(slots.firstSlot + slots.slotCount);
  const index = BlockIndex.create(slots.slotCount);
  const tier = new MemoryTierArena({
    ...{ memory, leases, slots, libc, index, metrics: memoryMetrics(), random: systemRandom },
    eviction: 'steady',
  });
  const sums = SumTable.create(slots);
  const shared = new SharedBlocks({ index, leases, sums, memory: tier.memory });
  const put = (key: BlockKey, bytes = bytesOf(key)) => {
    const room = tier.reserve(key.sizeBytes);
    room?.bytes.set(bytes);
    room?.commit(blockIdOf(key), { keep: true }).release();
  };
  return { tier, shared, put, leases };
}

/** Sizes and offsets on and off the borders of pieces (128 KiB). */
const sizes = fc.oneof(
  fc.integer({ min: 1, max: 256 * KIB }),
  fc.constantFrom(128 * KIB, 256 * KIB, 131_073),
);

test.each([
  ['addresses', loadLibc()],
  ['offsets', undefined],
])('by %s: what is held is right and stays so, whatever is evicted meanwhile', (_, libc) => {
  const { tier, shared, put } = setUp(libc);
  const held: { expected: Uint8Array; range: HeldRange }[] = [];
  const check = () => {
    for (const { expected, range } of held) {
      expect(Buffer.compare(range.bytes, expected)).toBe(0);
      expect(range.sums).toEqual(pieceSums(expected));
    }
  };
  let sliceId = 0n;
  let found = 0;
  fc.assert(
    fc.property(sizes, fc.nat(256 * KIB), fc.boolean(), (sizeBytes, place, isAligned) => {
      const key = { sliceId: (sliceId += 1n), index: 0, sizeBytes };
      const bytes = bytesOf(key);
      put(key, bytes);
      const offset = isAligned ? 0 : place % sizeBytes;
      const range = shared.hold(key, { offset, length: sizeBytes - offset });
      if (range !== undefined) {
        found += 1;
        held.push({ expected: bytes.subarray(offset), range });
      }
      check();
      if (held.length > 3) held.shift()?.range.release();
    }),
    { numRuns: 60 },
  );
  // Room can be short while much is held, but not often.
  expect(found).toBeGreaterThan(40);
  for (const { range } of held) range.release();
  tier.close();
});

test('what was evicted or deleted is not held any more', () => {
  const { tier, shared, put } = setUp(undefined);
  const key = { sliceId: 1n, index: 0, sizeBytes: 1000 };
  put(key);
  shared.hold(key, { offset: 0, length: 10 })?.release();
  tier.delete(blockIdOf(key));
  expect(shared.hold(key, { offset: 0, length: 10 })).toBe(undefined);
  expect(shared.hold({ ...key, index: 1 }, { offset: 0, length: 10 })).toBe(undefined);
  tier.close();
});
