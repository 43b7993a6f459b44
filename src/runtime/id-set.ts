import assert from 'node:assert/strict';

const FIRST_SLOTS = 1024;
const LOW_BITS = 0xffff_ffffn;
/** Two odd numbers that spread neighbours (the golden ratio, and one of MurmurHash's). */
const SPREAD_LOW = 0x9e37_79b1;
const SPREAD_HIGH = 0x85eb_ca6b;

/**
 * A set of numbers of 64 bits, for very many of them: 8 bytes a slot, of which one half to a quarter
 * is in use. (A `Set` of bigints takes ten times as much, and ends at 16.7 million.)
 */
export class IdSet {
  /** Low and high halves, one after the other; 0 is an empty slot. */
  #slots = new Uint32Array(2 * FIRST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @param id - 1 … 2^64 − 1. @returns whether it is new */
  add(id: bigint): boolean {
    assert(id > 0n && id >> 64n === 0n, 'an id of 64 bits');
    const isNew = put(this.#slots, Number(id & LOW_BITS), Number(id >> 32n));
    if (!isNew) return false;
    this.#size += 1;
    if (this.#size * 4 > this.#slots.length) this.#grow();
    return true;
  }

  #grow(): void {
    const old = this.#slots;
    const slots = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += 2) {
      const [low = 0, high = 0] = [old[at], old[at + 1]];
      if (low !== 0 || high !== 0) put(slots, low, high);
    }
    this.#slots = slots;
  }
}

function put(slots: Uint32Array, low: number, high: number): boolean {
  const mask = slots.length / 2 - 1;
  const hash = Math.imul(low, SPREAD_LOW) ^ Math.imul(high, SPREAD_HIGH);
  for (let slot = (hash ^ (hash >>> 15)) & mask; ; slot = (slot + 1) & mask) {
    const at = slot * 2;
    const [foundLow, foundHigh] = [slots[at], slots[at + 1]];
    if (foundLow === low && foundHigh === high) return false;
    if (foundLow === 0 && foundHigh === 0) {
      slots[at] = low;
      slots[at + 1] = high;
      return true;
    }
  }
}
