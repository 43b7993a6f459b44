import { abortReason } from '../runtime/deadline.ts';

interface Waiter {
  readonly keys: readonly bigint[];
  enter(): void;
}

/** Lets what has a key in common run one after the other, in the order of coming. */
export class TurnTaker {
  readonly #lines = new Map<bigint, Waiter[]>();

  /**
   * Runs `work` when it is its turn at all of its keys.
   *
   * @throws the signal's reason when aborted while it waits
   */
  async run<T>(keys: readonly bigint[], signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const unique = keys.length < 2 ? keys : [...new Set(keys)];
    const turn = Promise.withResolvers<void>();
    const waiter = { keys: unique, enter: turn.resolve };
    for (const key of unique) this.#line(key).push(waiter);
    if (!this.#isFirst(waiter)) {
      const onAbort = () => turn.reject(abortReason(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      try {
        await turn.promise;
      } catch (error) {
        this.#leave(waiter);
        throw error;
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    }
    try {
      return await work();
    } finally {
      this.#leave(waiter);
    }
  }

  #line(key: bigint): Waiter[] {
    const line = this.#lines.get(key) ?? [];
    this.#lines.set(key, line);
    return line;
  }

  #isFirst(waiter: Waiter): boolean {
    return waiter.keys.every((key) => this.#lines.get(key)?.[0] === waiter);
  }

  /** All keys are joined at once, so lines agree on the order and nobody waits in a circle. */
  #leave(waiter: Waiter): void {
    for (const key of waiter.keys) {
      const line = this.#lines.get(key) ?? [];
      line.splice(line.indexOf(waiter), 1);
      if (line.length === 0) this.#lines.delete(key);
      const next = line[0];
      if (next !== undefined && this.#isFirst(next)) next.enter();
    }
  }
}
