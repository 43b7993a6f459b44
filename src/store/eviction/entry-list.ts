import type { PolicyEntry } from './policy.ts';

/** A queue of entries, linked through their own fields: each step is O(1) and allocates nothing. */
export class EntryList<E extends PolicyEntry> {
  /** The newest entry. */
  head: E | undefined = undefined;
  /** The oldest entry. */
  tail: E | undefined = undefined;
  /** How many entries there are. */
  length = 0;
  /** Their sizes together. */
  bytes = 0;
  readonly #queue: number;

  /** @param queue - written to the `queue` field of each entry in this list, ≥ 1 */
  constructor(queue: number) {
    this.#queue = queue;
  }

  /** Whether this list holds the entry. */
  has(entry: E): boolean {
    return entry.queue === this.#queue;
  }

  /** Adds an entry, which must be in no list, at the head. */
  push(entry: E): void {
    entry.queue = this.#queue;
    entry.previous = undefined;
    entry.next = this.head;
    if (this.head === undefined) this.tail = entry;
    else this.head.previous = entry;
    this.head = entry;
    this.length += 1;
    this.bytes += entry.sizeBytes;
  }

  /** Takes out an entry of this list. */
  remove(entry: E): void {
    if (entry.previous === undefined) this.head = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next === undefined) this.tail = entry.previous;
    else entry.next.previous = entry.previous;
    entry.previous = undefined;
    entry.next = undefined;
    entry.queue = 0;
    this.length -= 1;
    this.bytes -= entry.sizeBytes;
  }
}
