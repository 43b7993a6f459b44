/** Runs at most one call per key at a time; callers that come meanwhile share its result. */
export class SingleFlight<Key, Value> {
  readonly #flights = new Map<Key, Promise<Value>>();

  /** Joins the running call of `key`, or starts `work`. */
  run(key: Key, work: () => Promise<Value>): Promise<Value> {
    const running = this.#flights.get(key);
    if (running !== undefined) return running;
    const flight = work().finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }

  /** How many calls are under way. */
  get size(): number {
    return this.#flights.size;
  }
}
