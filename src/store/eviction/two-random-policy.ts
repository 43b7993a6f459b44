import type { Random } from '../../runtime/random.ts';
import type { EvictionPolicy, EvictionProbe, PolicyEntry } from './policy.ts';

/** Pairs that are drawn before a victim is searched for one by one. */
const DRAWS_MAX = 32;

/** `2-random`, JuiceFS's own: of two entries drawn at random the one that was unused for longer goes. */
export class TwoRandomPolicy<E extends PolicyEntry> implements EvictionPolicy<E> {
  readonly #probe: EvictionProbe<E>;
  readonly #random: Random;
  readonly #entries: E[] = [];
  #bytes = 0;
  /** The last answer, until something changes. */
  #chosen: E | undefined = undefined;

  constructor(probe: EvictionProbe<E>, random: Random) {
    this.#probe = probe;
    this.#random = random;
  }

  get blocks(): number {
    return this.#entries.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  insert(entry: E): void {
    entry.seenAt = this.#probe.now();
    entry.position = this.#entries.length;
    this.#entries.push(entry);
    this.#bytes += entry.sizeBytes;
  }

  remove(entry: E): void {
    const last = this.#entries.pop() as E;
    if (last !== entry) {
      this.#entries[entry.position] = last;
      last.position = entry.position;
    }
    entry.position = -1;
    this.#bytes -= entry.sizeBytes;
    if (this.#chosen === entry) this.#chosen = undefined;
  }

  victim(): E | undefined {
    if (this.#chosen !== undefined && !this.#probe.isPinned(this.#chosen)) return this.#chosen;
    this.#chosen = this.#draw() ?? this.#entries.find((entry) => !this.#probe.isPinned(entry));
    return this.#chosen;
  }

  #draw(): E | undefined {
    for (let draws = 0; draws < DRAWS_MAX && this.#entries.length > 0; draws += 1) {
      const one = this.#pick();
      const other = this.#pick();
      if (this.#probe.isPinned(one) || this.#probe.isPinned(other)) continue;
      return this.#age(one) <= this.#age(other) ? one : other;
    }
    return undefined;
  }

  #pick(): E {
    return this.#entries[this.#random.below(this.#entries.length)] as E;
  }

  #age(entry: E): number {
    if (this.#probe.takeVisited(entry)) entry.seenAt = this.#probe.now();
    return entry.seenAt;
  }
}
