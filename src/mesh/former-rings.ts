import type { HashRing } from '../ring/hash-ring.ts';
import type { Clock } from '../runtime/clock.ts';

/** What a ring's owners hold is asked for this long after it was replaced. */
const KEEP_MS = 600_000;
/** At most; each holds 1.5 MB in a group of 4,000. */
const RINGS_MAX = 6;
/** A ring that was replaced so soon has hardly placed any block: it would only cost a question. */
const SETTLED_MS = 2000;

/** The rings that were valid lately, for a bounded time. */
export class FormerRings {
  readonly #clock: Clock;
  /** Newest first. */
  #entries: { readonly ring: HashRing; readonly retiredMs: number }[] = [];
  #sinceMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A ring becomes valid now. */
  began(): void {
    this.#sinceMs = this.#clock.nowMs();
  }

  /** A ring is replaced now, and its successor becomes valid. */
  retire(ring: HashRing): void {
    const retiredMs = this.#clock.nowMs();
    if (retiredMs - this.#sinceMs >= SETTLED_MS) {
      this.#entries = [{ ring, retiredMs }, ...this.#entries].slice(0, RINGS_MAX);
    }
    this.#sinceMs = retiredMs;
  }

  /** Newest first. */
  rings(): readonly HashRing[] {
    const limitMs = this.#clock.nowMs() - KEEP_MS;
    if (this.#entries.some(({ retiredMs }) => retiredMs <= limitMs)) {
      this.#entries = this.#entries.filter(({ retiredMs }) => retiredMs > limitMs);
    }
    return this.#entries.map(({ ring }) => ring);
  }
}
