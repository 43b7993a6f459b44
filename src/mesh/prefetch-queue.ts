import type { BlockId } from '../block/block-key.ts';

/**
 * Work on blocks that nobody waits for: `workers` at a time, at most `queueMax` waiting, each block
 * once. What does not fit is dropped, since a later read brings the block anyway.
 */
export class PrefetchQueue {
  readonly #workers: number;
  readonly #queueMax: number;
  readonly #onDrop: () => void;
  readonly #waiting = new Map<BlockId, () => Promise<void>>();
  readonly #running = new Set<BlockId>();
  /** Whom to tell when a block is done with, by block. */
  readonly #listeners = new Map<BlockId, (() => void)[]>();

  /**
   * @param options - `workers`: at once, 0 switches the queue off; `queueMax`: waiting;
   *   `onDrop`: told about each block that found no place
   */
  constructor(options: { workers: number; queueMax: number; onDrop: () => void }) {
    this.#workers = options.workers;
    this.#queueMax = options.queueMax;
    this.#onDrop = options.onDrop;
  }

  /**
   * Queues `work`, which must not reject; a block that is queued already is not queued again.
   *
   * @param done - called once, when the block's work has ended or was dropped
   */
  add(id: BlockId, work: () => Promise<void>, done?: () => void): void {
    const known = this.#waiting.has(id) || this.#running.has(id);
    if (!known && (this.#workers === 0 || this.#waiting.size >= this.#queueMax)) {
      this.#onDrop();
      done?.();
      return;
    }
    if (done !== undefined) {
      const listeners = this.#listeners.get(id);
      if (listeners === undefined) this.#listeners.set(id, [done]);
      else listeners.push(done);
    }
    if (known) return;
    this.#waiting.set(id, work);
    this.#next();
  }

  /** Forgets what has not begun. */
  clear(): void {
    const ids = [...this.#waiting.keys()];
    this.#waiting.clear();
    for (const id of ids) this.#tell(id);
  }

  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined || this.#running.size >= this.#workers) return;
    const [id, work] = first;
    this.#waiting.delete(id);
    this.#running.add(id);
    void work().finally(() => {
      this.#running.delete(id);
      this.#tell(id);
      this.#next();
    });
  }

  #tell(id: BlockId): void {
    const listeners = this.#listeners.get(id) ?? [];
    this.#listeners.delete(id);
    for (const done of listeners) done();
  }
}
