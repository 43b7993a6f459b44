import type { Clock } from './clock.ts';

/** Kinds that are told apart; lines of further ones share one place. */
const KINDS_MAX = 64;
const FURTHER = '';

/**
 * Lets one log line of each kind through in a while, so that who causes lines from outside cannot
 * fill a disk with them or hide others.
 */
export class LogThrottle {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #kinds = new Map<string, { nextMs: number; leftOut: number }>();

  /** @param everyMs - between two lines of one kind */
  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /**
   * @returns how many lines of this kind were left out since the last one when it is time for a
   *   line, undefined when this one is to be left out, too
   */
  admit(kind: string): number | undefined {
    const name = this.#kinds.has(kind) || this.#kinds.size < KINDS_MAX ? kind : FURTHER;
    const known = this.#kinds.get(name) ?? { nextMs: Number.NEGATIVE_INFINITY, leftOut: 0 };
    this.#kinds.set(name, known);
    const nowMs = this.#clock.nowMs();
    if (nowMs < known.nextMs) {
      known.leftOut += 1;
      return undefined;
    }
    const { leftOut } = known;
    known.nextMs = nowMs + this.#everyMs;
    known.leftOut = 0;
    return leftOut;
  }
}
