import type { LeaseTable } from '../runtime/lease-table.ts';

/** How many are looked at in one call of {@link LeaseLimbo.poll}. */
const POLL_MAX = 16;

/** What was retired while a thread still read it, until no thread does. */
export class LeaseLimbo {
  readonly #leases: LeaseTable;
  readonly #waiting: { readonly slot: number; readonly free: () => void }[] = [];
  #next = 0;

  constructor(leases: LeaseTable) {
    this.#leases = leases;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Retires a slot; `free` is called, now or in a later poll, when nobody reads its bytes. */
  retire(slot: number, free: () => void): void {
    if (this.#leases.retire(slot)) free();
    else this.#waiting.push({ slot, free });
  }

  /** Frees what nobody reads any more, looking at a bounded number in turn. */
  poll(): void {
    for (let looks = Math.min(POLL_MAX, this.#waiting.length); looks > 0; looks -= 1) {
      if (this.#next >= this.#waiting.length) this.#next = 0;
      const item = this.#waiting[this.#next];
      if (item === undefined) return;
      if (this.#leases.isPinned(item.slot)) {
        this.#next += 1;
        continue;
      }
      const last = this.#waiting.pop();
      if (last !== undefined && last !== item) this.#waiting[this.#next] = last;
      item.free();
    }
  }
}
