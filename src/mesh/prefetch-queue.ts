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
   * Queues `work`, which must not reject.
   *
   * @returns false when the block was dropped, or is queued already
   */
  add(id: BlockId, work: () => Promise<void>): boolean {
    if (this.#workers === 0 || this.#waiting.has(id) || this.#running.has(id)) return false;
    if (this.#waiting.size >= this.#queueMax) {
      this.#onDrop();
      return false;
    }
    this.#waiting.set(id, work);
    this.#next();
    return true;
  }

  /** Forgets what has not begun. */
  clear(): void {
    this.#waiting.clear();
  }

  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined || this.#running.size >= this.#workers) return;
    const [id, work] = first;
    this.#waiting.delete(id);
    this.#running.add(id);
    void work().finally(() => {
      this.#running.delete(id);
      this.#next();
    });
  }
}
