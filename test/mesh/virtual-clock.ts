import { EventQueue } from '../../cluster-sim/world/event-queue.ts';
import type { Clock } from '../../src/runtime/clock.ts';

/** A clock for many timers that jumps from one that is due to the next. */
export class VirtualClock implements Clock {
  readonly #queue = new EventQueue();
  #nowMs = 1_000;

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  setTimer(delayMs: number, run: () => void): { cancel(): void } {
    const atMs = Math.ceil(this.#nowMs + Math.max(0, delayMs));
    const due = this.#queue.push(atMs, run);
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
    const first = this.#queue.pop(Number.POSITIVE_INFINITY);
    if (typeof first === 'string') return false;
    this.#nowMs = Math.max(this.#nowMs, first.atMs);
    first.run();
    for (;;) {
      const next = this.#queue.pop(this.#nowMs);
      if (typeof next === 'string') return true;
      next.run();
    }
  }
}

/** Lets everything run that waits for no timer: promises go on before any macrotask. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
