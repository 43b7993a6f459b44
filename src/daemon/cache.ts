import { BlockIndex } from '../store/block-index.ts';
import { DISK_IO_TIMEOUT_MS } from '../store/disk-io.ts';
import { DirectoryDiskTier } from '../store/disk-tier.ts';
import type { TiersPlace } from '../mesh/threads/serve-messages.ts';
import { LeaseTable } from '../runtime/lease-table.ts';
import { placeOf, type SharedMemory } from '../runtime/system/shared-memory.ts';
import { memorySlotCount, MemoryTierArena, slabBytesFor } from '../store/memory-tier.ts';
import type { SlotRange } from '../store/slot-range.ts';
import { SumTable } from '../store/sum-table.ts';
import type { DiskTier, MemoryTier } from '../store/tier.ts';
import { systemViewCalls } from '../store/views/view-calls.ts';
import { cacheFilesMax } from './cache-files-max.ts';
import type { DaemonContext } from './daemon-context.ts';
import type { CacheConfig } from './mount-config.ts';

/** The local tiers and the leases by which worker threads use them. */
export interface LocalCache {
  readonly leases: LeaseTable;
  readonly memory: MemoryTier;
  /** The memory tier's own memory. */
  readonly arena: SharedMemory;
  /** Blocks of the memory tier by key, and their checksums. */
  readonly index: BlockIndex;
  readonly sums: SumTable;
  /** What serving threads need of all this. */
  readonly place: TiersPlace;
  /** Undefined without a cache directory. */
  readonly disk: DiskTier | undefined;
}

/** For each cache file that is kept open: leases may outlive their place while somebody reads. */
const SLOTS_PER_FILE = 2;

/**
 * Makes the tiers; the disk tier is not started.
 *
 * @param config - `makesViews`: the kernel may read files by itself
 */
export function createCache(
  config: CacheConfig & { makesViews?: boolean },
  volume: { uuid: string; blockBytes: number },
  context: DaemonContext,
): LocalCache {
  const memory = {
    cacheBytes: config.memoryBytes,
    bufferBytes: config.bufferBytes,
    slabBytes: slabBytesFor(volume.blockBytes),
  };
  const memorySlots = { firstSlot: 0, slotCount: memorySlotCount(memory) };
  // A read from a file that is open costs no open(2), and no way over the main thread.
  const openFilesMax = context.openFilesMax ?? cacheFilesMax();
  const slotCount = SLOTS_PER_FILE * openFilesMax;
  const fileSlots = { firstSlot: memorySlots.slotCount, slotCount };
  const leases = LeaseTable.create(memorySlots.slotCount + slotCount);
  const index = BlockIndex.create(memorySlots.slotCount);
  const sums = SumTable.create(memorySlots);
  const tier = new MemoryTierArena({
    ...context,
    libc: context.memory ?? context.libc,
    memory,
    index,
    leases,
    slots: memorySlots,
    eviction: config.eviction,
  });
  const files = BlockIndex.create(slotCount);
  const shared = { leases, slots: fileSlots, index: files };
  const disk = createDisk(config, volume.uuid, { ...shared, openFilesMax, context });
  const place: TiersPlace = {
    ...{ leases: leases.shared, index: index.shared, sums: sums.shared, slots: memorySlots },
    memory: placeOf(tier.memory),
    files: disk === undefined ? undefined : files.shared,
  };
  return { leases, memory: tier, arena: tier.memory, index, sums, place, disk };
}

function createDisk(
  config: CacheConfig & { makesViews?: boolean },
  volumeUuid: string,
  parts: {
    leases: LeaseTable;
    slots: SlotRange;
    index: BlockIndex;
    openFilesMax: number;
    context: DaemonContext;
  },
): DiskTier | undefined {
  if (config.dirs.length === 0) return undefined;
  const { libc } = parts.context;
  return new DirectoryDiskTier({
    ...parts.context,
    log: parts.context.logger,
    directories: config.dirs,
    volumeUuid,
    cacheBytes: config.diskBytes,
    freeSpaceRatio: config.freeSpaceRatio,
    fileMode: config.fileMode,
    checksums: config.verify,
    eviction: config.eviction,
    // Blocks that wait for the disk hold their memory, so readers keep the other half.
    queueBytesMax: config.bufferBytes / 2,
    openFilesMax: parts.openFilesMax,
    ioTimeoutMs: DISK_IO_TIMEOUT_MS,
    leases: parts.leases,
    slots: parts.slots,
    index: parts.index,
    viewCalls: config.makesViews && libc !== undefined ? systemViewCalls(libc) : undefined,
  });
}
