/** What every entry of a cache carries for its {@link EvictionPolicy}, which alone writes these. */
export class PolicyEntry {
  /** Room that the entry takes in its cache. */
  readonly sizeBytes: number;
  /** 32 bits that name the entry, the same each time that it comes back into the cache. */
  readonly hash: number;
  /** When the entry was last known to be used, in the probe's time. */
  seenAt = 0;
  /** Which of the policy's queues holds it; 0 for none. */
  queue = 0;
  /** Neighbours in that queue. */
  previous: this | undefined = undefined;
  next: this | undefined = undefined;
  /** Place in an array, for policies that draw at random. */
  position = -1;

  constructor(sizeBytes: number, hash: number) {
    this.sizeBytes = sizeBytes;
    this.hash = hash;
  }
}

/** What a policy asks its cache. */
export interface EvictionProbe<E> {
  /** Whether the entry was used since this was last asked. */
  takeVisited(entry: E): boolean;
  /** Whether the entry must stay for now. */
  isPinned(entry: E): boolean;
  /** How many entries were inserted into the cache so far, over all of its policies: its time. */
  now(): number;
}

/**
 * Decides which entry of a cache goes next. A pure data structure: room, budgets and threads are
 * the cache's business. Use is not reported but asked for (`takeVisited`), since worker threads
 * read cached bytes without the owner's help and can leave no more than a bit.
 */
export interface EvictionPolicy<E extends PolicyEntry> {
  /** How many entries there are. */
  readonly blocks: number;
  /** Their sizes together. */
  readonly bytes: number;
  /** Takes an entry that is in no policy. */
  insert(entry: E): void;
  /** @param evicted - it goes for want of room, and may be remembered in case it comes back */
  remove(entry: E, evicted: boolean): void;
  /**
   * The entry that should go next, still in the policy: to evict it call {@link remove}. Asked
   * again it gives the same one as long as nothing changed.
   *
   * @returns undefined when every entry is pinned, or nothing may be evicted
   */
  victim(): E | undefined;
}

/**
 * So many visited entries are passed over in one search; then the next that is not pinned goes,
 * used or not. It bounds the pause when a large cache was read as a whole.
 */
export const SWEEP_MAX = 256;
