import { LRUCache } from 'lru-cache';
import { hashText } from '../../src/store/block-hash.ts';
import type { EvictionName } from '../../src/store/eviction/create-policy.ts';
import { createPolicy } from '../../src/store/eviction/create-policy.ts';
import { PolicyEntry } from '../../src/store/eviction/policy.ts';
import type { Random } from '../../src/runtime/random.ts';

/** A cache of equal items as the replay sees it. */
export interface ReplayCache {
  /** One use of an item, several reads long. @returns whether it was there */
  use(item: number): boolean;
}

class ReplayEntry extends PolicyEntry {
  readonly item: number;
  visited = false;

  constructor(item: number) {
    super(1, hashText(String(item)));
    this.item = item;
  }
}

/** One of the product's own policies in front of a map. */
export function productCache(name: EvictionName, capacity: number, random: Random): ReplayCache {
  const entries = new Map<number, ReplayEntry>();
  let tick = 0;
  const policy = createPolicy<ReplayEntry>(
    name,
    {
      takeVisited: (entry) => {
        const was = entry.visited;
        entry.visited = false;
        return was;
      },
      isPinned: () => false,
      now: () => tick,
    },
    random,
  );
  return {
    use(item) {
      const held = entries.get(item);
      if (held !== undefined) {
        held.visited = true;
        return true;
      }
      tick += 1;
      if (entries.size >= capacity) {
        const victim = policy.victim();
        if (victim === undefined) return false;
        policy.remove(victim, true);
        entries.delete(victim.item);
      }
      const entry = new ReplayEntry(item);
      entries.set(item, entry);
      policy.insert(entry);
      // The later pieces of the same read, and other readers of the same page.
      entry.visited = true;
      return false;
    },
  };
}

/** Exact LRU by the `lru-cache` package. */
export function lruCache(capacity: number): ReplayCache {
  const cache = new LRUCache<number, true>({ max: capacity });
  return {
    use(item) {
      if (cache.get(item) !== undefined) return true;
      cache.set(item, true);
      return false;
    },
  };
}
