import type { Clock } from '../../src/runtime/clock.ts';

interface Due {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/** A clock for many timers that jumps from one that is due to the next; they are kept in a heap. */
export class VirtualClock implements Clock {
  readonly #heap: Due[] = [];
  #nowMs = 1_000;
  #order = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  setTimer(delayMs: number, run: () => void): { cancel(): void } {
    const atMs = Math.ceil(this.#nowMs + Math.max(0, delayMs));
    const due: Due = { atMs, order: this.#order++, run };
    this.#push(due);
    return {
      cancel: () => {
        due.run = undefined;
      },
    };
  }

  /** Lets time pass until `done` settles. @throws Error when it never will */
  async run<T>(done: Promise<T>): Promise<T> {
    let isSettled = false;
    const end = () => {
      isSettled = true;
    };
    done.then(end, end);
    for (;;) {
      await turn();
      if (isSettled) return done;
      if (!this.#fire()) throw new Error('nothing will ever happen any more');
    }
  }

  /** Lets `ms` pass. */
  async pass(ms: number): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.setTimer(ms, done.resolve);
    await this.run(done.promise);
  }

  /** Runs all that is due next, at one moment. */
  #fire(): boolean {
    let first = this.#pop();
    while (first !== undefined && first.run === undefined) first = this.#pop();
    if (first === undefined) return false;
    this.#nowMs = Math.max(this.#nowMs, first.atMs);
    first.run?.();
    while (this.#heap[0] !== undefined && this.#heap[0].atMs <= this.#nowMs) this.#pop()?.run?.();
    return true;
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(due, heap[above] as Due)) break;
      heap[at] = heap[above] as Due;
      at = above;
    }
    heap[at] = due;
  }

  #pop(): Due | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, heap[below] as Due)) below += 1;
      if (!isBefore(heap[below] as Due, last)) break;
      heap[at] = heap[below] as Due;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(one: Due, other: Due): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

/** Lets everything run that waits for no timer: promises go on before any macrotask. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
