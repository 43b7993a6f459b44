import { EntryList } from './entry-list.ts';
import type { EvictionPolicy, EvictionProbe, PolicyEntry } from './policy.ts';
import { SWEEP_MAX } from './policy.ts';

/**
 * `lru`: the least recently used goes. Uses are known by a bit, so an entry moves to the front when
 * the search for a victim finds it used, not at the use itself: second chance.
 */
export class LruPolicy<E extends PolicyEntry> implements EvictionPolicy<E> {
  readonly #probe: EvictionProbe<E>;
  readonly #entries = new EntryList<E>(1);

  constructor(probe: EvictionProbe<E>) {
    this.#probe = probe;
  }

  get blocks(): number {
    return this.#entries.length;
  }

  get bytes(): number {
    return this.#entries.bytes;
  }

  insert(entry: E): void {
    entry.seenAt = this.#probe.now();
    this.#entries.push(entry);
  }

  remove(entry: E): void {
    this.#entries.remove(entry);
  }

  victim(): E | undefined {
    let entry = this.#entries.tail;
    let spared = 0;
    for (let left = 2 * this.#entries.length; entry !== undefined && left > 0; left -= 1) {
      const newer: E | undefined = entry.previous;
      if (!this.#probe.isPinned(entry)) {
        if (spared >= SWEEP_MAX || !this.#probe.takeVisited(entry)) return entry;
        spared += 1;
        entry.seenAt = this.#probe.now();
        this.#entries.remove(entry);
        this.#entries.push(entry);
      }
      entry = newer ?? (spared > 0 ? this.#entries.tail : undefined);
    }
    return undefined;
  }
}
