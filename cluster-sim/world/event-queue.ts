/** Something that will happen at a virtual time. */
export interface QueuedEvent {
  readonly atMs: number;
  /** Undefined once it was cancelled. */
  run: (() => void) | undefined;
}

interface Entry extends QueuedEvent {
  /** Events of the same time happen in the order in which they were queued. */
  readonly order: number;
}

/** What happens next: a binary heap by time, then by order of queueing. */
export class EventQueue {
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Events queued and not yet taken, cancelled ones included. */
  get size(): number {
    return this.#heap.length;
  }

  /** When the next one is, which may have been cancelled; undefined when nothing is queued. */
  get nextMs(): number | undefined {
    return this.#heap[0]?.atMs;
  }

  /** @returns the event; clearing its `run` cancels it */
  push(atMs: number, run: () => void): QueuedEvent {
    this.#order += 1;
    const entry: Entry = { atMs, run, order: this.#order };
    this.#heap.push(entry);
    this.#rise(this.#heap.length - 1);
    return entry;
  }

  /**
   * Takes the next event that was not cancelled.
   *
   * @returns `idle` when nothing will ever happen, `later` when nothing will until `limitMs`
   */
  pop(limitMs: number): { readonly atMs: number; readonly run: () => void } | 'idle' | 'later' {
    for (;;) {
      const [first] = this.#heap;
      if (first === undefined) return 'idle';
      if (first.run !== undefined && first.atMs > limitMs) return 'later';
      const last = this.#heap.pop() as Entry;
      if (last !== first) {
        this.#heap[0] = last;
        this.#sink();
      }
      const { atMs, run } = first;
      if (run !== undefined) return { atMs, run };
    }
  }

  #rise(from: number): void {
    const entry = this.#heap[from] as Entry;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#heap[above] as Entry;
      if (isBefore(parent, entry)) break;
      this.#heap[at] = parent;
      at = above;
    }
    this.#heap[at] = entry;
  }

  #sink(): void {
    const heap = this.#heap;
    const entry = heap[0] as Entry;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Entry)) child += 1;
      const lower = heap[child] as Entry;
      if (isBefore(entry, lower)) break;
      heap[at] = lower;
      at = child;
    }
    heap[at] = entry;
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
