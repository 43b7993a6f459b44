import { pieceCount } from '../block/piece-sums.ts';
import type { LeaseRef } from '../runtime/lease-table.ts';
import { SLOT_STEP_BYTES } from './size-classes.ts';
import type { SlotRange } from './slot-range.ts';

/**
 * Checksums of blocks in the memory tier, each computed once however often the block is sent, in
 * shared memory: any thread that has a block pinned may read and write them. What threads write at
 * the same time is the same.
 *
 * A slot's generation is written behind its sums, so sums that are found are complete and of the
 * bytes that lie there now.
 */
export class SumTable {
  /** Hand this to a worker, which calls {@link SumTable.attach}. */
  readonly shared: SharedArrayBuffer;
  readonly #firstSlot: number;
  /** By slot: the generation whose sums are there. */
  readonly #generations: Int32Array;
  /** By place in the arena, one for each 4 KiB: blocks never share such a step. */
  readonly #sums: Uint32Array;

  private constructor(shared: SharedArrayBuffer, slots: SlotRange) {
    this.shared = shared;
    this.#firstSlot = slots.firstSlot;
    this.#generations = new Int32Array(shared, 0, slots.slotCount);
    this.#sums = new Uint32Array(shared, slots.slotCount * 4);
  }

  /** @param slots - of the memory tier; there are as many as its arena has steps of 4 KiB */
  static create(slots: SlotRange): SumTable {
    return new SumTable(new SharedArrayBuffer(slots.slotCount * 8), slots);
  }

  /** The same table in another thread. */
  static attach(shared: SharedArrayBuffer, slots: SlotRange): SumTable {
    return new SumTable(shared, slots);
  }

  /**
   * @param block - pinned; `place`: of its first byte in the arena
   * @param sums - gives the sums when they are not there yet
   * @returns the sums of all pieces of the block, valid while it is pinned
   */
  sumsOf(
    block: { lease: LeaseRef; place: number; sizeBytes: number },
    sums: () => Uint32Array,
  ): Uint32Array {
    const { slot, generation } = block.lease;
    const from = block.place / SLOT_STEP_BYTES;
    const own = this.#sums.subarray(from, from + pieceCount(block.sizeBytes));
    if (Atomics.load(this.#generations, slot - this.#firstSlot) !== generation) {
      own.set(sums());
      Atomics.store(this.#generations, slot - this.#firstSlot, generation);
    }
    return own;
  }
}
