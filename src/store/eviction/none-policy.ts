import { EntryList } from './entry-list.ts';
import type { EvictionPolicy, PolicyEntry } from './policy.ts';

/** `none`: nothing is ever evicted; a full cache takes no more. */
export class NonePolicy<E extends PolicyEntry> implements EvictionPolicy<E> {
  readonly #entries = new EntryList<E>(1);

  get blocks(): number {
    return this.#entries.length;
  }

  get bytes(): number {
    return this.#entries.bytes;
  }

  insert(entry: E): void {
    this.#entries.push(entry);
  }

  remove(entry: E): void {
    this.#entries.remove(entry);
  }

  victim(): undefined {
    return undefined;
  }
}
