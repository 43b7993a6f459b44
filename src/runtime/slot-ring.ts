import assert from 'node:assert/strict';

/** Positions in the header; each counter has a cache line of its own. */
const HEAD = 0;
const TAIL = 16;
const SLOTS = 32;
const SLOT_BYTES = 33;
const HEADER_BYTES = 192;

/**
 * A queue of equal slots in shared memory, from one thread to one other. Nothing is copied or
 * allocated: the producer writes into a slot, the consumer reads it there.
 */
export class SlotRing {
  /** Hand this to the other thread, which calls {@link SlotRing.attach}. */
  readonly shared: SharedArrayBuffer;
  /** The whole memory; `claim` and `peek` say where in it a slot begins. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly slotBytes: number;
  readonly slots: number;
  readonly #counters: Int32Array;

  private constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.bytes = new Uint8Array(shared);
    this.view = new DataView(shared);
    this.#counters = new Int32Array(shared, 0, HEADER_BYTES / 4);
    this.slots = this.#counters[SLOTS] as number;
    this.slotBytes = this.#counters[SLOT_BYTES] as number;
  }

  /**
   * @param slotBytes - a multiple of 8
   * @param slots - a power of two, up to 2^30
   */
  static create(slotBytes: number, slots: number): SlotRing {
    assert(slotBytes > 0 && slotBytes % 8 === 0 && slots > 0 && (slots & (slots - 1)) === 0);
    const shared = new SharedArrayBuffer(HEADER_BYTES + slotBytes * slots);
    new Int32Array(shared).set([slots, slotBytes], SLOTS);
    return new SlotRing(shared);
  }

  /** The same ring in another thread. */
  static attach(shared: SharedArrayBuffer): SlotRing {
    return new SlotRing(shared);
  }

  /** How many slots are filled, as far as the calling thread can know. */
  get used(): number {
    return (Atomics.load(this.#counters, HEAD) - Atomics.load(this.#counters, TAIL)) | 0;
  }

  /** Slots that were taken so far, modulo 2^32: tells whether the consumer gets on. */
  get taken(): number {
    return Atomics.load(this.#counters, TAIL);
  }

  /** Producer only. @returns where the next slot to fill begins, −1 when all are filled */
  claim(): number {
    if (this.used === this.slots) return -1;
    return this.#at(Atomics.load(this.#counters, HEAD));
  }

  /** Producer only: hands over the slot that `claim` named. */
  push(): void {
    Atomics.add(this.#counters, HEAD, 1);
  }

  /** Consumer only. @returns where the oldest filled slot begins, −1 when there is none */
  peek(): number {
    if (this.used === 0) return -1;
    return this.#at(Atomics.load(this.#counters, TAIL));
  }

  /** Consumer only: gives back the slot that `peek` named. */
  drop(): void {
    Atomics.add(this.#counters, TAIL, 1);
  }

  #at(counter: number): number {
    return HEADER_BYTES + (counter & (this.slots - 1)) * this.slotBytes;
  }
}
