import assert from 'node:assert/strict';
import type { BlockKey } from '../block/block-key.ts';
import type { LeaseRef } from '../runtime/lease-table.ts';
import { SharedTable } from '../runtime/shared-table.ts';

/** Slice id in two words, index, size. No block is empty, so no key is all zero. */
const KEY_WORDS = 4;
/** Slot and generation of the lease. */
const VALUE_WORDS = 2;

/** A lease as {@link BlockIndex.find} found it. Reused, so that looking up allocates nothing. */
export class FoundLease {
  slot = 0;
  generation = 0;
}

/**
 * Tells threads under which lease a block's bytes lie, by the whole key, so that a lease found is
 * that block's or none. One thread writes, any thread reads.
 *
 * Losing an entry is always right: the main thread is asked then. An entry whose lease has ended does
 * no harm: pinning it fails.
 */
export class BlockIndex {
  /** Hand this to a worker, which calls {@link BlockIndex.attach}. */
  readonly shared: SharedArrayBuffer;
  readonly #table: SharedTable;
  readonly #key = new Int32Array(KEY_WORDS);
  readonly #lease = new Int32Array(VALUE_WORDS);

  private constructor(table: SharedTable) {
    this.shared = table.shared;
    this.#table = table;
  }

  /** @param capacity - entries of 32 bytes, as {@link SharedTable} counts them */
  static create(capacity: number): BlockIndex {
    const shape = { keyWords: KEY_WORDS, valueWords: VALUE_WORDS, capacity };
    return new BlockIndex(SharedTable.create(shape));
  }

  /** The same index in another thread. */
  static attach(shared: SharedArrayBuffer): BlockIndex {
    return new BlockIndex(SharedTable.attach(shared));
  }

  /** Writer only: the block lies under this lease from now on. */
  publish(key: BlockKey, lease: LeaseRef): void {
    assert(key.sizeBytes > 0, 'no block is empty');
    this.#setKey(key);
    this.#lease[0] = lease.slot;
    this.#lease[1] = lease.generation;
    this.#table.set(this.#key, this.#lease);
  }

  /** Writer only: forgets the block, unless it lies under another lease by now. */
  retract(key: BlockKey, lease: LeaseRef): void {
    this.#setKey(key);
    if (this.#table.find(this.#key, this.#lease) !== 'found') return;
    if (this.#lease[0] !== lease.slot || this.#lease[1] !== lease.generation) return;
    this.#table.remove(this.#key);
  }

  /** @returns whether the block is known; `found` is its lease then, which may have ended */
  find(key: BlockKey, found: FoundLease): boolean {
    this.#setKey(key);
    if (this.#table.find(this.#key, this.#lease) !== 'found') return false;
    found.slot = this.#lease[0] as number;
    found.generation = this.#lease[1] as number;
    return true;
  }

  #setKey({ sliceId, index, sizeBytes }: BlockKey): void {
    const words = this.#key;
    words[2] = index;
    words[3] = sizeBytes;
    // Nearly all ids are small; beyond 2^53 a number would lose bits.
    if (sliceId <= Number.MAX_SAFE_INTEGER) {
      const id = Number(sliceId);
      words[0] = id | 0;
      words[1] = Math.floor(id / 2 ** 32);
      return;
    }
    words[0] = Number(BigInt.asIntN(32, sliceId));
    words[1] = Number(BigInt.asIntN(32, sliceId >> 32n));
  }
}
