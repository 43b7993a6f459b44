/**
 * A map of bounded size: when it is full the entry that was used longest ago goes. Takes no memory
 * before it is used.
 */
export class RecentMap<Key, Value> {
  readonly #max: number;
  /** The one used longest ago first. */
  readonly #entries = new Map<Key, Value>();

  /** @param max - entries at most, ≥ 1 */
  constructor(max: number) {
    this.#max = max;
  }

  /** The value, which counts as used now. */
  get(key: Key): Value | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  /** Whether there is a value, without using it. */
  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  set(key: Key, value: Value): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#max) return;
    const [oldest] = this.#entries.keys();
    this.#entries.delete(oldest as Key);
  }

  delete(key: Key): void {
    this.#entries.delete(key);
  }
}
