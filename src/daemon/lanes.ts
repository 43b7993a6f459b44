import { Semaphore } from '../runtime/semaphore.ts';

/**
 * Does things side by side while there is room, else one after the other. Nothing ever waits for
 * room, so that work may spread more work.
 */
export class Lanes {
  readonly #places: Semaphore;
  readonly #signal: AbortSignal;

  /** @param count - of things beside what is done in line, ≥ 1 */
  constructor(count: number, signal: AbortSignal) {
    this.#places = new Semaphore(count, 0);
    this.#signal = signal;
  }

  /**
   * Resolves when all work is done.
   *
   * @throws what the first work that failed has thrown, when nothing is under way any more; no new
   *   work is begun after it. The signal's reason
   */
  async spread<T>(items: AsyncIterable<T> | Iterable<T>, work: (item: T) => Promise<void>) {
    const underWay = new Set<Promise<void>>();
    const failures: unknown[] = [];
    const note = (error: unknown) => void failures.push(error);
    try {
      for await (const item of items) {
        this.#signal.throwIfAborted();
        if (failures.length > 0) break;
        const leave = this.#places.tryAcquire();
        if (leave === undefined) {
          await work(item);
          continue;
        }
        const one: Promise<void> = work(item)
          .catch(note)
          .finally(() => {
            leave();
            underWay.delete(one);
          });
        underWay.add(one);
      }
    } catch (error) {
      note(error);
    }
    await Promise.all(underWay);
    if (failures.length > 0) throw failures[0];
  }
}
