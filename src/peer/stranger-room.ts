/** A connection that has not yet proved who it is. */
interface Stranger {
  readonly address: string;
  readonly sendAway: () => void;
}

/**
 * Counts connections that have not proved who they are, and bounds them. When there are too many,
 * the oldest of the address that has most of them goes: a member proves itself within milliseconds,
 * so who floods this node from one address loses his own connections and not those of members.
 */
export class StrangerRoom {
  readonly #max: number;
  /** By address; oldest first. */
  readonly #byAddress = new Map<string, Set<Stranger>>();
  #count = 0;

  /** @param max - connections at most */
  constructor(max: number) {
    this.#max = max;
  }

  /** Connections in the room. */
  get count(): number {
    return this.#count;
  }

  /**
   * @param sendAway - called when the connection has to go; it is out of the room then
   * @returns what takes the connection out again; harmless when it is out already
   */
  enter(address: string, sendAway: () => void): () => void {
    const stranger = { address, sendAway };
    const same = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, same.add(stranger));
    this.#count += 1;
    if (this.#count > this.#max) this.#crowdOut();
    return () => this.#leave(stranger);
  }

  /** Sends all away. */
  clear(): void {
    const all = [...this.#byAddress.values()].flatMap((strangers) => [...strangers]);
    for (const stranger of all) {
      this.#leave(stranger);
      stranger.sendAway();
    }
  }

  #crowdOut(): void {
    let most = new Set<Stranger>();
    for (const strangers of this.#byAddress.values()) {
      if (strangers.size > most.size) most = strangers;
    }
    const [oldest] = most;
    if (oldest === undefined) return;
    this.#leave(oldest);
    oldest.sendAway();
  }

  #leave(stranger: Stranger): void {
    const same = this.#byAddress.get(stranger.address);
    if (same?.delete(stranger) !== true) return;
    this.#count -= 1;
    if (same.size === 0) this.#byAddress.delete(stranger.address);
  }
}
