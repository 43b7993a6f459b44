/** Fewer evicted entries than this are always remembered. */
const REMEMBERED_MIN = 256;
/** The queue's used-up front is cut off when it is longer than this and than the rest. */
const CUT_MIN = 1024;

/** Remembers by 32-bit hashes what was evicted last, as many entries as the cache holds itself. */
export class Ghosts {
  /** Hash to its place in the queue, counted from the first one ever. */
  readonly #places = new Map<number, number>();
  /** In the order of eviction. Maps keep an order too, but finding their oldest is not O(1). */
  #hashes: number[] = [];
  #seenAt: number[] = [];
  #front = 0;
  #cut = 0;

  /**
   * @param seenAt - when the entry was last known to be used
   * @param cachedBlocks - entries that are in the cache now
   */
  add(hash: number, seenAt: number, cachedBlocks: number): void {
    this.#places.set(hash, this.#cut + this.#hashes.length);
    this.#hashes.push(hash);
    this.#seenAt.push(seenAt);
    const most = Math.max(REMEMBERED_MIN, cachedBlocks);
    // Two at once at most: the memory shrinks with the cache, and no call pauses.
    for (let drops = 0; drops < 2 && this.#hashes.length - this.#front > most; drops += 1) {
      const oldest = this.#hashes[this.#front] as number;
      if (this.#places.get(oldest) === this.#cut + this.#front) this.#places.delete(oldest);
      this.#front += 1;
    }
    if (this.#front > CUT_MIN && 2 * this.#front > this.#hashes.length) this.#cutFront();
  }

  /**
   * Forgets an entry that comes back.
   *
   * @returns when it was last known to be used; undefined when it is not remembered. A rare
   *   collision of hashes only admits an entry early.
   */
  take(hash: number): number | undefined {
    const place = this.#places.get(hash);
    if (place === undefined) return undefined;
    this.#places.delete(hash);
    return this.#seenAt[place - this.#cut];
  }

  #cutFront(): void {
    this.#hashes = this.#hashes.slice(this.#front);
    this.#seenAt = this.#seenAt.slice(this.#front);
    this.#cut += this.#front;
    this.#front = 0;
  }
}
