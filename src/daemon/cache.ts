import { LeaseTable } from '../runtime/lease-table.ts';
import type { SharedMemory } from '../runtime/system/shared-memory.ts';
import { memorySlotCount, MemoryTierArena, slabBytesFor } from '../store/memory-tier.ts';
import type { DiskTier, MemoryTier } from '../store/tier.ts';
import type { DaemonContext } from './daemon-context.ts';
import type { CacheConfig } from './mount-config.ts';

/** The local tiers and the leases by which worker threads use them. */
export interface LocalCache {
  readonly leases: LeaseTable;
  readonly memory: MemoryTier;
  /** The memory tier's own memory. */
  readonly arena: SharedMemory;
  /** Undefined without a cache directory. */
  readonly disk: DiskTier | undefined;
}

/** Makes the tiers; the disk tier is not started. */
export function createCache(
  config: CacheConfig,
  volume: { uuid: string; blockBytes: number },
  context: DaemonContext,
): LocalCache {
  const memory = {
    cacheBytes: config.memoryBytes,
    bufferBytes: config.bufferBytes,
    slabBytes: slabBytesFor(volume.blockBytes),
  };
  const memorySlots = { firstSlot: 0, slotCount: memorySlotCount(memory) };
  const leases = LeaseTable.create(memorySlots.slotCount);
  const tier = new MemoryTierArena({
    ...context,
    memory,
    leases,
    slots: memorySlots,
    eviction: config.eviction,
  });
  return { leases, memory: tier, arena: tier.memory, disk: undefined };
}
