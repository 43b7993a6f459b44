import assert from 'node:assert/strict';
import { type BlockId, parseBlockId } from '../block/block-key.ts';
import type { LeaseRef, LeaseTable } from '../runtime/lease-table.ts';
import { LeaseKind } from '../runtime/lease-table.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import type { MemoryCalls, SharedMemory } from '../runtime/system/shared-memory.ts';
import { allocateSharedMemory } from '../runtime/system/shared-memory.ts';
import type { Room } from './arena.ts';
import { Arena } from './arena.ts';
import type { BlockIndex } from './block-index.ts';
import type { EvictionName } from './eviction/create-policy.ts';
import { LeaseLimbo } from './lease-limbo.ts';
import { MemoryEntry } from './memory-entry.ts';
import { MemoryEviction } from './memory-eviction.ts';
import { SizeClasses, SLOT_STEP_BYTES } from './size-classes.ts';
import type { SlotRange } from './slot-range.ts';
import type { TierMetrics } from './tier-metrics.ts';
import { tierMetrics } from './tier-metrics.ts';
import type { HeldBlock, MemoryTier, Reservation, TierUsage } from './tier.ts';

/** Slabs are at least this large, and at least a block. */
const SLAB_BYTES_MIN = 4 * 1024 * 1024;
/** Rounds of eviction in one reservation; more than one is needed when worker threads pin meanwhile. */
const ROUNDS_MAX = 64;

/** What a {@link MemoryTierArena} is made of. */
export interface MemoryTierOptions {
  readonly memory: {
    /** What cached blocks may take: `--memory-cache-size`. 0 caches nothing. */
    readonly cacheBytes: number;
    /** What is there besides for blocks on their way: `--buffer-size`. */
    readonly bufferBytes: number;
    /** From {@link slabBytesFor}. */
    readonly slabBytes: number;
  };
  readonly leases: LeaseTable;
  /** At least {@link memorySlotCount} slots of `leases`, for this tier alone. */
  readonly slots: SlotRange;
  /** Undefined: the memory is a SharedArrayBuffer. */
  readonly libc: MemoryCalls | undefined;
  readonly metrics: Metrics;
  readonly random: Random;
  readonly eviction: EvictionName;
  /** Is told which blocks are cached, for threads that serve peers. */
  readonly index?: BlockIndex | undefined;
}

/** The size of slabs for a volume's block size: a block must fit into one. */
export function slabBytesFor(blockBytes: number): number {
  return Math.max(SLAB_BYTES_MIN, Math.ceil(blockBytes / SLOT_STEP_BYTES) * SLOT_STEP_BYTES);
}

/** How many slots of the lease table the tier needs. */
export function memorySlotCount(memory: MemoryTierOptions['memory']): number {
  return slabCount(memory) * (memory.slabBytes / SLOT_STEP_BYTES);
}

function slabCount({ cacheBytes, bufferBytes, slabBytes }: MemoryTierOptions['memory']): number {
  return Math.max(1, Math.ceil((cacheBytes + bufferBytes) / slabBytes));
}

/**
 * Blocks in one piece of memory that is cut into slabs, and each slab into slots of one size.
 *
 * A block's bytes are reused only after its lease was retired and no thread holds a pin on it;
 * blocks that the main thread holds are pinned in the same way.
 *
 * @throws OutOfMemoryError (constructor) when the address space cannot be had
 */
export class MemoryTierArena implements MemoryTier {
  readonly #options: MemoryTierOptions;
  readonly #arena: Arena<MemoryEntry>;
  readonly #memory: SharedMemory;
  readonly #capacityBytes: number;
  readonly #eviction: MemoryEviction;
  readonly #limbo: LeaseLimbo;
  readonly #metrics: TierMetrics;
  readonly #entries = new Map<BlockId, MemoryEntry>();
  #cachedBytes = 0;

  constructor(options: MemoryTierOptions) {
    const { memory, leases, random, eviction } = options;
    assert(options.slots.slotCount >= memorySlotCount(memory), 'too few slots for the arena');
    this.#options = options;
    this.#capacityBytes = slabCount(memory) * memory.slabBytes;
    this.#arena = new Arena<MemoryEntry>(new SizeClasses(memory.slabBytes), slabCount(memory));
    this.#eviction = new MemoryEviction({ arena: this.#arena, leases, random, eviction });
    this.#limbo = new LeaseLimbo(leases);
    this.#metrics = tierMetrics(options.metrics);
    this.#memory = allocateSharedMemory(options.libc, this.#capacityBytes);
  }

  /** The arena itself, for worker threads that cannot use addresses. */
  get memory(): SharedMemory {
    return this.#memory;
  }

  get(id: BlockId): HeldBlock | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    const { slot, generation } = entry.lease;
    assert(this.#options.leases.pin(slot, generation));
    const bytes = this.#bytesOf(entry.room, this.#options.leases.lengthBytes(slot));
    this.#metrics.hits.add();
    this.#metrics.hitBytes.add(bytes.byteLength);
    return this.#hold(entry, bytes);
  }

  lease(id: BlockId): LeaseRef | undefined {
    return this.#entries.get(id)?.lease;
  }

  has(id: BlockId): boolean {
    return this.#entries.has(id);
  }

  reserve(sizeBytes: number): Reservation | undefined {
    if (this.#limbo.size > 0) this.#limbo.poll();
    const classIndex = this.#arena.classes.classOf(sizeBytes);
    const room = this.#arena.take(classIndex) ?? this.#makeRoom(classIndex);
    if (room === undefined) return undefined;
    const bytes = this.#bytesOf(room, sizeBytes);
    let open = true;
    const close = () => {
      assert(open, 'a reservation ends once');
      open = false;
    };
    return {
      bytes,
      commit: (id, { keep }) => {
        close();
        return this.#commit({ id, room, bytes, keep });
      },
      abandon: () => {
        close();
        this.#arena.giveBack(room);
      },
    };
  }

  delete(id: BlockId): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) this.#drop(entry, false);
  }

  ids(): Iterable<BlockId> {
    return this.#entries.keys();
  }

  usage(): TierUsage {
    return {
      blocks: this.#entries.size,
      usedBytes: this.#cachedBytes,
      capacityBytes: this.#options.memory.cacheBytes,
    };
  }

  close(): void {
    for (const entry of this.#entries.values()) this.#options.leases.retire(entry.lease.slot);
    this.#metrics.blocks.add(-this.#entries.size);
    this.#metrics.bytes.add(-this.#cachedBytes);
    this.#entries.clear();
    this.#cachedBytes = 0;
    this.#memory.free();
  }

  #commit(block: {
    id: BlockId;
    room: Room<MemoryEntry>;
    bytes: Uint8Array;
    keep: boolean;
  }): HeldBlock {
    const { id, room, bytes } = block;
    const { leases } = this.#options;
    const lease = leases.publish(this.#leaseSlotOf(room), {
      kind: LeaseKind.memory,
      location: this.#memory.base + this.#offsetOf(room),
      lengthBytes: bytes.byteLength,
    });
    assert(leases.pin(lease.slot, lease.generation));
    // Our own pin is no use of the block.
    leases.takeVisited(lease.slot);
    const entry = new MemoryEntry(id, room, lease, this.#slotBytesOf(room));
    if (block.keep && !this.#entries.has(id)) this.#keep(entry, bytes.byteLength);
    return this.#hold(entry, bytes);
  }

  #keep(entry: MemoryEntry, lengthBytes: number): void {
    const { cacheBytes } = this.#options.memory;
    if (entry.sizeBytes > cacheBytes) return;
    while (this.#cachedBytes + entry.sizeBytes > cacheBytes) {
      const victim = this.#eviction.coldest();
      if (victim === undefined) return;
      this.#drop(victim, true);
    }
    entry.isCached = true;
    this.#entries.set(entry.id, entry);
    this.#eviction.insert(entry);
    entry.room.slab.entries[entry.room.slot] = entry;
    entry.room.slab.cached += 1;
    this.#publish(entry);
    this.#count(entry.sizeBytes, 1);
    this.#metrics.writes.add();
    this.#metrics.writeBytes.add(lengthBytes);
  }

  #hold(entry: MemoryEntry, bytes: Uint8Array): HeldBlock {
    const { slot } = entry.lease;
    // A block that was not kept has this one holder, and goes with it.
    const isKept = entry.isCached;
    let held = true;
    return {
      lease: entry.lease,
      bytes,
      release: () => {
        assert(held, 'a block is released once');
        held = false;
        this.#options.leases.unpin(slot);
        if (!isKept) this.#limbo.retire(slot, () => this.#arena.giveBack(entry.room));
        else if (this.#limbo.size > 0) this.#limbo.poll();
      },
    };
  }

  /** Takes a block out of the cache; its room follows as soon as nobody reads it. */
  #drop(entry: MemoryEntry, evicted: boolean): void {
    const { slab, slot } = entry.room;
    this.#entries.delete(entry.id);
    this.#retract(entry);
    this.#eviction.remove(entry, evicted);
    slab.entries[slot] = undefined;
    slab.cached -= 1;
    this.#count(-entry.sizeBytes, -1);
    if (evicted) this.#metrics.evicts.add();
    this.#limbo.retire(entry.lease.slot, () => this.#arena.giveBack(entry.room));
  }

  #publish({ id, lease }: MemoryEntry): void {
    const key = this.#options.index === undefined ? undefined : parseBlockId(id);
    if (key !== undefined) this.#options.index?.publish(key, lease);
  }

  #retract({ id, lease }: MemoryEntry): void {
    const key = this.#options.index === undefined ? undefined : parseBlockId(id);
    if (key !== undefined) this.#options.index?.retract(key, lease);
  }

  #makeRoom(classIndex: number): Room<MemoryEntry> | undefined {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const victims = this.#eviction.victimsFor(classIndex);
      if (victims.length === 0) return undefined;
      for (const victim of victims) this.#drop(victim, true);
      const room = this.#arena.take(classIndex);
      if (room !== undefined) return room;
    }
    return undefined;
  }

  #count(bytes: number, blocks: number): void {
    this.#cachedBytes += bytes;
    this.#metrics.bytes.add(bytes);
    this.#metrics.blocks.add(blocks);
  }

  #bytesOf(room: Room<MemoryEntry>, lengthBytes: number): Uint8Array {
    const offset = this.#offsetOf(room);
    return this.#memory.bytes.subarray(offset, offset + lengthBytes);
  }

  #offsetOf({ slab, slot }: Room<MemoryEntry>): number {
    return slab.number * this.#options.memory.slabBytes + slot * this.#slotBytesOf({ slab, slot });
  }

  #slotBytesOf({ slab }: Room<MemoryEntry>): number {
    return this.#arena.classes.sizeOf(slab.classIndex);
  }

  #leaseSlotOf({ slab, slot }: Room<MemoryEntry>): number {
    const { firstSlot } = this.#options.slots;
    return firstSlot + slab.number * this.#arena.classes.slotsPerSlabMax + slot;
  }
}
