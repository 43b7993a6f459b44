import { Ghosts } from '../../src/store/eviction/ghosts.ts';
import type { ReplayCache } from './replay-cache.ts';

const SMALL_SHARE = 0.1;
const USES_MAX = 3;

/** Counts of uses by item, in the order in which the items came. */
class FifoMap {
  readonly #uses = new Map<number, number>();
  #order: number[] = [];
  #front = 0;

  get size(): number {
    return this.#uses.size;
  }

  has(item: number): boolean {
    return this.#uses.has(item);
  }

  get(item: number): number {
    return this.#uses.get(item) ?? 0;
  }

  set(item: number, uses: number): void {
    if (!this.#uses.has(item)) this.#order.push(item);
    this.#uses.set(item, uses);
  }

  /** Takes out the oldest. */
  shift(): readonly [number, number] {
    const item = this.#order[this.#front] as number;
    const uses = this.get(item);
    this.#front += 1;
    this.#uses.delete(item);
    if (2 * this.#front > this.#order.length) {
      this.#order = this.#order.slice(this.#front);
      this.#front = 0;
    }
    return [item, uses];
  }
}

/**
 * S3-FIFO (Yang and others, SOSP '23): a small queue, a main queue, and a memory of what left the
 * small one.
 *
 * @param burst - whether the later pieces of the read that missed count as a use
 */
export function s3FifoCache(capacity: number, burst: boolean): ReplayCache {
  const small = new FifoMap();
  const main = new FifoMap();
  const ghosts = new Ghosts();
  const smallMax = Math.max(1, Math.floor(capacity * SMALL_SHARE));
  const evictSmall = () => {
    const [item, uses] = small.shift();
    if (uses > (burst ? 1 : 0)) {
      main.set(item, 0);
      return;
    }
    ghosts.add(item, 0, capacity - smallMax);
  };
  const evictMain = () => {
    const [item, uses] = main.shift();
    if (uses > 0) main.set(item, uses - 1);
  };
  return {
    use(item) {
      const queue = small.has(item) ? small : main.has(item) ? main : undefined;
      if (queue !== undefined) {
        queue.set(item, Math.min(USES_MAX, queue.get(item) + 1));
        return true;
      }
      while (small.size + main.size >= capacity) {
        if (small.size >= smallMax || main.size === 0) evictSmall();
        else evictMain();
      }
      if (ghosts.take(item) !== undefined) main.set(item, 0);
      else small.set(item, burst ? 1 : 0);
      return false;
    },
  };
}
