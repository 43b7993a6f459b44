import assert from 'node:assert/strict';

/** Where the bytes of a lease are. */
export const LeaseKind = { free: 0, memory: 1, file: 2 } as const;

/** What a worker needs to read leased bytes by itself. */
export interface LeaseInfo {
  /** {@link LeaseKind} */
  readonly kind: number;
  /** Memory: the address. File: the descriptor, valid in the whole process. */
  readonly location: number;
  /** How many bytes lie there. */
  readonly lengthBytes: number;
}

/** Names one publication of a slot; stale as soon as the slot is retired. */
export interface LeaseRef {
  readonly slot: number;
  readonly generation: number;
}

const INTS_PER_SLOT = 4;
const GENERATION = 0;
const PINS = 1;
const VISITED = 2;
const KIND = 3;
const FLOATS_PER_SLOT = 2;
const LOCATION = 0;
const LENGTH = 1;

/**
 * Cached bytes that other threads may use, in shared memory.
 *
 * One thread (the owner of the cache) publishes and retires slots; any thread pins them. The
 * protocol is Dekker's: a reader raises the pin count and then looks at the generation, the owner
 * raises the generation and then looks at the pin count. `Atomics` are sequentially consistent, so
 * at least one of the two sees the other: bytes under a successful pin are never reused.
 */
export class LeaseTable {
  /** Hand this to a worker, which calls {@link LeaseTable.attach}. */
  readonly shared: SharedArrayBuffer;
  /** Number of slots. */
  readonly capacity: number;
  readonly #ints: Int32Array;
  readonly #floats: Float64Array;

  private constructor(shared: SharedArrayBuffer, capacity: number) {
    this.shared = shared;
    this.capacity = capacity;
    const floatBytes = capacity * FLOATS_PER_SLOT * 8;
    this.#floats = new Float64Array(shared, 0, capacity * FLOATS_PER_SLOT);
    this.#ints = new Int32Array(shared, floatBytes, capacity * INTS_PER_SLOT);
  }

  /** @param capacity - slots, ≥ 1; memory is touched only where slots are used (32 bytes each) */
  static create(capacity: number): LeaseTable {
    const bytes = capacity * (FLOATS_PER_SLOT * 8 + INTS_PER_SLOT * 4);
    return new LeaseTable(new SharedArrayBuffer(bytes), capacity);
  }

  /** The same table in another thread. */
  static attach(shared: SharedArrayBuffer): LeaseTable {
    return new LeaseTable(shared, shared.byteLength / (FLOATS_PER_SLOT * 8 + INTS_PER_SLOT * 4));
  }

  /** Owner only: makes `slot`, which must be free and unpinned, usable by everyone. */
  publish(slot: number, info: LeaseInfo): LeaseRef {
    const base = slot * INTS_PER_SLOT;
    assert(!isPublished(Atomics.load(this.#ints, base + GENERATION)), 'a slot is published once');
    this.#floats[slot * FLOATS_PER_SLOT + LOCATION] = info.location;
    this.#floats[slot * FLOATS_PER_SLOT + LENGTH] = info.lengthBytes;
    Atomics.store(this.#ints, base + VISITED, 0);
    Atomics.store(this.#ints, base + KIND, info.kind);
    Atomics.add(this.#ints, base + GENERATION, 1);
    return { slot, generation: Atomics.load(this.#ints, base + GENERATION) };
  }

  /**
   * Owner only: no new pin succeeds from here on.
   *
   * @returns whether nobody reads the bytes any more; while false ask {@link isPinned} again later
   */
  retire(slot: number): boolean {
    const base = slot * INTS_PER_SLOT;
    assert(isPublished(Atomics.load(this.#ints, base + GENERATION)), 'only a lease is retired');
    // What the slot says stays: readers that pinned it before still go by it.
    Atomics.add(this.#ints, base + GENERATION, 1);
    return !this.isPinned(slot);
  }

  /** Owner only: whether what was published has not been retired since. */
  isCurrent({ slot, generation }: LeaseRef): boolean {
    return Atomics.load(this.#ints, slot * INTS_PER_SLOT + GENERATION) === generation;
  }

  /** Whether some thread reads the slot's bytes right now. */
  isPinned(slot: number): boolean {
    return Atomics.load(this.#ints, slot * INTS_PER_SLOT + PINS) !== 0;
  }

  /** @returns whether the bytes stay where they are until {@link unpin} */
  pin(slot: number, generation: number): boolean {
    const base = slot * INTS_PER_SLOT;
    Atomics.add(this.#ints, base + PINS, 1);
    if (isPublished(generation) && Atomics.load(this.#ints, base + GENERATION) === generation) {
      if (this.#ints[base + VISITED] === 0) Atomics.store(this.#ints, base + VISITED, 1);
      return true;
    }
    Atomics.sub(this.#ints, base + PINS, 1);
    return false;
  }

  /** Ends a successful {@link pin}. */
  unpin(slot: number): void {
    Atomics.sub(this.#ints, slot * INTS_PER_SLOT + PINS, 1);
  }

  /** {@link LeaseKind} of a pinned slot. */
  kind(slot: number): number {
    return this.#ints[slot * INTS_PER_SLOT + KIND] as number;
  }

  /** Address or descriptor of a pinned slot. */
  location(slot: number): number {
    return this.#floats[slot * FLOATS_PER_SLOT + LOCATION] as number;
  }

  /** Bytes of a pinned slot. */
  lengthBytes(slot: number): number {
    return this.#floats[slot * FLOATS_PER_SLOT + LENGTH] as number;
  }

  /** Owner only, for eviction: whether the slot was read since this was last asked. */
  takeVisited(slot: number): boolean {
    return Atomics.exchange(this.#ints, slot * INTS_PER_SLOT + VISITED, 0) !== 0;
  }
}

/** Generations count publications and retirements, so while a slot is published its own is odd. */
function isPublished(generation: number): boolean {
  return (generation & 1) === 1;
}
