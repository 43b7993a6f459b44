import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlockId } from '../../src/block/block-key.ts';
import { LeaseKind, LeaseTable } from '../../src/runtime/lease-table.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import type { EvictionName } from '../../src/store/eviction/create-policy.ts';
import { EVICTION_NAMES } from '../../src/store/eviction/create-policy.ts';
import { MemoryTierArena, memorySlotCount } from '../../src/store/memory-tier.ts';
import { SizeClasses } from '../../src/store/size-classes.ts';
import type { HeldBlock, Reservation } from '../../src/store/tier.ts';

const KIB = 1024;
const SLAB = 64 * KIB;
const FIRST_SLOT = 7;

function makeTier(
  sizes: { cacheBytes: number; bufferBytes: number },
  eviction: EvictionName = 'steady',
) {
  const memory = { ...sizes, slabBytes: SLAB };
  const leases = LeaseTable.create(FIRST_SLOT + memorySlotCount(memory));
  const metrics = memoryMetrics();
  const tier = new MemoryTierArena({
    memory,
    leases,
    slots: { firstSlot: FIRST_SLOT, slotCount: memorySlotCount(memory) },
    libc: undefined,
    metrics,
    random: systemRandom,
    eviction,
  });
  return { tier, leases, metrics };
}

function idOf(number: number, sizeBytes: number): BlockId {
  return `${number}_0_${sizeBytes}` as BlockId;
}

/** Puts a block whose bytes all are `number`, and lets it go. */
function put(tier: MemoryTierArena, number: number, sizeBytes: number): boolean {
  const room = tier.reserve(sizeBytes);
  if (room === undefined) return false;
  room.bytes.fill(number & 255);
  room.commit(idOf(number, sizeBytes), { keep: true }).release();
  return true;
}

describe('size classes', () => {
  it('waste at most a fifth of a block of 60 KB, and at most a quarter below half a slab', () => {
    const classes = new SizeClasses(4 * 1024 * KIB);
    expect(classes.sizeOf(classes.classOf(60_000)) / 60_000).toBeLessThan(1.25);
    for (let bytes = 16 * KIB; bytes < 1024 * KIB; bytes += 1000) {
      const size = classes.sizeOf(classes.classOf(bytes));
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size - bytes).toBeLessThanOrEqual(bytes * 0.25 + 4 * KIB);
    }
  });

  it('hold every size, with slots that fit into their slab', () => {
    for (const slab of [4 * KIB, 64 * KIB, 4 * 1024 * KIB, 16 * 1024 * KIB]) {
      const classes = new SizeClasses(slab);
      expect(classes.sizeOf(classes.classOf(slab))).toBe(slab);
      expect(classes.classOf(1)).toBe(0);
      classes.sizes.forEach((size, index) => {
        expect(size % (4 * KIB)).toBe(0);
        expect(classes.classOf(size)).toBe(index);
        expect(classes.slotsPerSlab(index) * size).toBeLessThanOrEqual(slab);
      });
    }
  });
});

describe('memory tier', () => {
  it('gives back the bytes of what was committed, and publishes where they are', () => {
    const { tier, leases } = makeTier({ cacheBytes: 4 * SLAB, bufferBytes: SLAB });
    const room = tier.reserve(5000) as Reservation;
    expect(room.bytes.byteLength).toBe(5000);
    room.bytes.fill(9);
    const id = idOf(1, 5000);
    expect(tier.has(id)).toBe(false);
    room.commit(id, { keep: true }).release();
    const held = tier.get(id) as HeldBlock;
    expect(held.bytes).toEqual(new Uint8Array(5000).fill(9));
    const { slot, generation } = held.lease;
    expect(slot).toBeGreaterThanOrEqual(FIRST_SLOT);
    expect(leases.pin(slot, generation)).toBe(true);
    expect(leases.kind(slot)).toBe(LeaseKind.memory);
    expect(leases.lengthBytes(slot)).toBe(5000);
    const offset = leases.location(slot);
    expect(tier.memory.bytes.subarray(offset, offset + 5000)).toEqual(held.bytes);
    leases.unpin(slot);
    held.release();
    tier.delete(id);
    expect(tier.has(id)).toBe(false);
    expect(leases.pin(slot, generation)).toBe(false);
    tier.close();
  });

  it('frees an abandoned reservation and a block that is not kept', () => {
    const { tier } = makeTier({ cacheBytes: 0, bufferBytes: SLAB });
    for (let round = 0; round < 10; round += 1) {
      (tier.reserve(SLAB) as Reservation).abandon();
      const held = (tier.reserve(SLAB) as Reservation).commit(idOf(1, SLAB), {
        keep: round % 2 === 0,
      });
      expect(tier.has(idOf(1, SLAB))).toBe(false);
      expect(tier.reserve(1)).toBeUndefined();
      held.release();
    }
    tier.close();
  });

  it('gives no room when everything is held, and room as soon as one is released', () => {
    const { tier } = makeTier({ cacheBytes: 3 * SLAB, bufferBytes: 0 });
    const held = [1, 2, 3].map((number) =>
      (tier.reserve(SLAB) as Reservation).commit(idOf(number, SLAB), { keep: true }),
    );
    expect(tier.reserve(SLAB)).toBeUndefined();
    expect(tier.reserve(1)).toBeUndefined();
    held[1]?.release();
    const room = tier.reserve(1);
    expect(room).toBeDefined();
    expect(tier.has(idOf(2, SLAB))).toBe(false);
    expect(tier.has(idOf(1, SLAB))).toBe(true);
    tier.close();
  });

  it('does not reuse bytes that a worker thread has pinned', () => {
    const { tier, leases } = makeTier({ cacheBytes: SLAB, bufferBytes: 0 });
    put(tier, 1, SLAB);
    const held = tier.get(idOf(1, SLAB)) as HeldBlock;
    const { slot, generation } = held.lease;
    held.release();
    expect(leases.pin(slot, generation)).toBe(true);
    tier.delete(idOf(1, SLAB));
    expect(tier.reserve(SLAB)).toBeUndefined();
    leases.unpin(slot);
    expect(tier.reserve(SLAB)).toBeDefined();
    tier.close();
  });

  it.each(['steady', '2-random', 'lru'] as const)(
    'is not stuck when the workload changes from large blocks to small ones and back (%s)',
    (eviction) => {
      const { tier } = makeTier({ cacheBytes: 8 * SLAB, bufferBytes: SLAB }, eviction);
      for (let number = 0; number < 50; number += 1) expect(put(tier, number, SLAB)).toBe(true);
      for (let number = 100; number < 2000; number += 1) expect(put(tier, number, 4000)).toBe(true);
      const small = tier.usage();
      expect(small.blocks).toBeGreaterThan(64);
      for (let number = 3000; number < 3200; number += 1)
        expect(put(tier, number, SLAB)).toBe(true);
      const large = Array.from({ length: 200 }, (_, index) => tier.has(idOf(3000 + index, SLAB)));
      expect(large.filter(Boolean).length).toBeGreaterThanOrEqual(4);
      tier.close();
    },
  );

  it('keeps what is there when nothing may be evicted', () => {
    const { tier } = makeTier({ cacheBytes: 2 * SLAB, bufferBytes: SLAB }, 'none');
    for (let number = 0; number < 5; number += 1) expect(put(tier, number, SLAB)).toBe(true);
    expect([0, 1, 2, 3, 4].map((number) => tier.has(idOf(number, SLAB)))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    tier.close();
  });

  it('counts hits, writes and evictions', () => {
    const { tier, metrics } = makeTier({ cacheBytes: 2 * SLAB, bufferBytes: SLAB });
    for (let number = 0; number < 5; number += 1) put(tier, number, SLAB);
    tier.get(idOf(4, SLAB))?.release();
    expect(metrics.value('blockcache_writes')).toBe(5);
    expect(metrics.value('blockcache_evicts')).toBe(3);
    expect(metrics.value('blockcache_blocks')).toBe(2);
    expect(metrics.value('blockcache_bytes')).toBe(2 * SLAB);
    expect(metrics.value('blockcache_hits')).toBe(1);
    tier.close();
  });

  it('a lease is neither a hit nor a use', () => {
    const { tier, leases, metrics } = makeTier({ cacheBytes: 2 * SLAB, bufferBytes: SLAB }, 'lru');
    for (const number of [1, 2]) put(tier, number, SLAB);
    const lease = tier.lease(idOf(1, SLAB));
    expect(lease && leases.isCurrent(lease)).toBe(true);
    put(tier, 3, SLAB);
    expect(metrics.value('blockcache_hits')).toBe(0);
    expect([1, 2, 3].map((number) => tier.has(idOf(number, SLAB)))).toEqual([false, true, true]);
    tier.close();
  });
});

interface Step {
  readonly kind: 'put' | 'get' | 'delete' | 'pin' | 'release' | 'unpin';
  readonly number: number;
  readonly size: number;
  /** Which of the held or pinned blocks. */
  readonly at: number;
}

const SIZES = [100, 4096, 5000, 9000, 20_000, 40_000, SLAB];
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    ...(['put', 'put', 'put', 'get', 'delete', 'pin', 'release', 'release', 'unpin'] as const),
  ),
  number: fc.nat(12),
  size: fc.constantFrom(...SIZES),
  at: fc.nat(20),
});

describe('memory tier under random use', () => {
  it.each(EVICTION_NAMES)(
    'never loses count, exceeds its budget or touches what is held (%s)',
    (eviction) => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
          const cacheBytes = 3 * SLAB;
          const { tier, leases } = makeTier({ cacheBytes, bufferBytes: SLAB }, eviction);
          const held: { block: HeldBlock; number: number }[] = [];
          const pinned: { slot: number; bytes: Uint8Array; number: number }[] = [];
          const run = (it: Step) => {
            if (it.kind === 'release') {
              held.splice(it.at, 1)[0]?.block.release();
            } else if (it.kind === 'unpin') {
              const pin = pinned.splice(it.at, 1)[0];
              if (pin !== undefined) leases.unpin(pin.slot);
            } else if (it.kind === 'delete') {
              tier.delete(idOf(it.number, it.size));
            } else if (it.kind === 'put') {
              const room = tier.reserve(it.size);
              if (room === undefined) return;
              room.bytes.fill(it.number + 1);
              held.push({
                block: room.commit(idOf(it.number, it.size), { keep: it.number % 3 !== 0 }),
                number: it.number,
              });
            } else {
              const block = tier.get(idOf(it.number, it.size));
              if (block === undefined) return;
              held.push({ block, number: it.number });
              if (it.kind === 'get') return;
              const { slot, generation } = block.lease;
              assert(leases.pin(slot, generation));
              const at = leases.location(slot);
              const bytes = tier.memory.bytes.subarray(at, at + leases.lengthBytes(slot));
              pinned.push({ slot, bytes, number: it.number });
            }
          };
          for (const it of steps) {
            run(it);
            expect(tier.usage().usedBytes).toBeLessThanOrEqual(cacheBytes);
            for (const { block, number } of held) expect(isAll(block.bytes, number + 1)).toBe(true);
            for (const pin of pinned) expect(isAll(pin.bytes, pin.number + 1)).toBe(true);
          }
          for (const { block } of held) block.release();
          for (const pin of pinned) leases.unpin(pin.slot);
          // With nothing held the whole arena can be had again, unless nothing is ever evicted.
          const blocks = tier.usage().blocks;
          const slabs = Array.from({ length: 4 }, () => tier.reserve(SLAB)).filter(Boolean).length;
          assert(slabs === 4 || (eviction === 'none' && blocks > 0));
          tier.close();
        }),
        { numRuns: 150 },
      );
    },
  );
});

function isAll(bytes: Uint8Array, value: number): boolean {
  return (
    bytes[0] === value && bytes[bytes.length - 1] === value && bytes[bytes.length >> 1] === value
  );
}
