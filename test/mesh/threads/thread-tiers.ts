import { type BlockKey, blockIdOf } from '../../../src/block/block-key.ts';
import { ServeThreads } from '../../../src/mesh/threads/serve-threads.ts';
import type { ListenerMaker } from '../../../src/peer/bulk-listener.ts';
import { type Clock, systemClock } from '../../../src/runtime/clock.ts';
import { LeaseTable } from '../../../src/runtime/lease-table.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { type MemoryMetrics, memoryMetrics } from '../../../src/runtime/metrics.ts';
import { systemRandom } from '../../../src/runtime/random.ts';
import { loadLibc } from '../../../src/runtime/system/libc.ts';
import { placeOf } from '../../../src/runtime/system/shared-memory.ts';
import { BlockIndex } from '../../../src/store/block-index.ts';
import { memorySlotCount, MemoryTierArena } from '../../../src/store/memory-tier.ts';
import { SumTable } from '../../../src/store/sum-table.ts';
import { bytesOf } from '../../peer/test-hosts.ts';

const FILE_SLOTS = 64;

/** A memory tier that serving threads see, and what they count. */
export interface ThreadTiers {
  readonly tier: MemoryTierArena;
  readonly leases: LeaseTable;
  /** For a disk tier: its slots and its index. */
  readonly files: { slots: { firstSlot: number; slotCount: number }; index: BlockIndex };
  readonly metrics: MemoryMetrics;
  /** Caches a block with the bytes of `bytesOf`, or others. */
  put(key: BlockKey, bytes?: Uint8Array): void;
  /** A listener with so many threads, by a clock that is the system's unless told. */
  listener(count: number, clock?: Clock): ListenerMaker;
}

/** @param withLibc - whether the arena is found by address; otherwise it is a SharedArrayBuffer */
export function makeThreadTiers(
  sizes: { cacheBytes: number; slabBytes: number },
  withLibc = true,
): ThreadTiers {
  const memory = { ...sizes, bufferBytes: 2 * sizes.slabBytes };
  const slots = { firstSlot: 0, slotCount: memorySlotCount(memory) };
  const fileSlots = { firstSlot: slots.slotCount, slotCount: FILE_SLOTS };
  const leases = LeaseTable.create(slots.slotCount + FILE_SLOTS);
  const index = BlockIndex.create(slots.slotCount);
  const files = BlockIndex.create(FILE_SLOTS);
  const sums = SumTable.create(slots);
  const metrics = memoryMetrics();
  const tier = new MemoryTierArena({
    ...{ memory, leases, slots, index, metrics, random: systemRandom, eviction: 'steady' },
    libc: withLibc ? loadLibc() : undefined,
  });
  const place = { leases: leases.shared, index: index.shared, sums: sums.shared, slots };
  const tiers = { ...place, memory: placeOf(tier.memory), files: files.shared };
  const put = (key: BlockKey, bytes = bytesOf(key)) => {
    const room = tier.reserve(key.sizeBytes);
    room?.bytes.set(bytes);
    room?.commit(blockIdOf(key), { keep: true }).release();
  };
  const listener = (count: number, clock: Clock = systemClock): ListenerMaker => {
    const context = { clock, logger: silentLogger, metrics, memory: tier.memory };
    return (parts) => new ServeThreads({ ...context, tiers, count }, parts);
  };
  return { tier, leases, files: { slots: fileSlots, index: files }, metrics, put, listener };
}
