import assert from 'node:assert/strict';

/** Sizes of slots are multiples of this: what the kernel pages memory by. */
export const SLOT_STEP_BYTES = 4096;
/** A class is at most this much larger than the one below it, where whole slots allow it. */
const GROWTH = 1.25;

/**
 * The sizes of slots that slabs are cut into. Each class is the largest 4 KiB multiple of which the
 * same number fits into a slab, so little is lost at a slab's end. From half a slab on the steps
 * are those of halves and wholes: such blocks are rare (the ends of large files).
 */
export class SizeClasses {
  readonly slabBytes: number;
  /** Ascending, in bytes; the last one is the whole slab. */
  readonly sizes: readonly number[];
  /** Class by size in steps of 4 KiB. */
  readonly #bySteps: Uint8Array;

  /** @param slabBytes - a multiple of 4 KiB */
  constructor(slabBytes: number) {
    assert(slabBytes > 0 && slabBytes % SLOT_STEP_BYTES === 0);
    this.slabBytes = slabBytes;
    this.sizes = classSizes(slabBytes);
    this.#bySteps = new Uint8Array(slabBytes / SLOT_STEP_BYTES + 1);
    let index = 0;
    for (let steps = 1; steps < this.#bySteps.length; steps += 1) {
      if (steps * SLOT_STEP_BYTES > this.sizeOf(index)) index += 1;
      this.#bySteps[steps] = index;
    }
  }

  /** The smallest class whose slots hold `sizeBytes` (1 … slabBytes). */
  classOf(sizeBytes: number): number {
    assert(sizeBytes > 0 && sizeBytes <= this.slabBytes);
    return this.#bySteps[Math.ceil(sizeBytes / SLOT_STEP_BYTES)] as number;
  }

  /** Bytes of a slot of this class. */
  sizeOf(index: number): number {
    return this.sizes[index] as number;
  }

  /** How many slots of this class a slab holds. */
  slotsPerSlab(index: number): number {
    return Math.floor(this.slabBytes / this.sizeOf(index));
  }

  /** How many slots a slab of the smallest class holds. */
  get slotsPerSlabMax(): number {
    return this.slabBytes / SLOT_STEP_BYTES;
  }
}

function classSizes(slabBytes: number): number[] {
  const sizes = [SLOT_STEP_BYTES];
  for (let last = SLOT_STEP_BYTES; last < slabBytes; ) {
    let count = Math.min(Math.ceil(slabBytes / (last * GROWTH)), Math.floor(slabBytes / last));
    while (slotOf(slabBytes, count) <= last) count -= 1;
    last = slotOf(slabBytes, count);
    sizes.push(last);
  }
  return sizes;
}

function slotOf(slabBytes: number, count: number): number {
  return Math.floor(slabBytes / count / SLOT_STEP_BYTES) * SLOT_STEP_BYTES;
}
