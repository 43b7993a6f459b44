import type { Timespec } from '../../posix/attr.ts';
import type { Clock } from '../../runtime/clock.ts';

/** How far the wall clock may be from what the monotonic one makes of it. */
const DRIFT_MAX_MS = 20;

/**
 * Wall-clock times that never repeat: other clients tell a file's contents apart by its times, and two
 * writes of one length within a millisecond are two contents.
 */
export class WriteClock {
  readonly #clock: Clock;
  #offsetMs: number;
  #lastNs = 0n;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offsetMs = clock.wallMs() - clock.nowMs();
  }

  /** Now; later than every time that was told before. */
  now(): Timespec {
    const wallMs = this.#clock.wallMs();
    const offsetMs = wallMs - this.#clock.nowMs();
    if (Math.abs(offsetMs - this.#offsetMs) > DRIFT_MAX_MS) this.#offsetMs = offsetMs;
    const fineMs = this.#offsetMs + this.#clock.nowMs();
    const wholeMs = Math.floor(fineMs);
    const ns = BigInt(wholeMs) * 1_000_000n + BigInt(Math.floor((fineMs - wholeMs) * 1e6));
    this.#lastNs = ns > this.#lastNs ? ns : this.#lastNs + 1n;
    return {
      seconds: Number(this.#lastNs / 1_000_000_000n),
      nanoseconds: Number(this.#lastNs % 1_000_000_000n),
    };
  }
}
