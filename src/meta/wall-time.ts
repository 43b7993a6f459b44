import type { Timespec } from '../posix/attr.ts';
import type { Clock } from '../runtime/clock.ts';

const NANOSECONDS = 1_000_000_000;

/**
 * The wall clock with more than milliseconds: times of a file tell its versions apart, so that no
 * two times are the same.
 */
export class WallTime {
  readonly #clock: Clock;
  #last: Timespec = { seconds: 0, nanoseconds: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Later than the one before, unless the wall clock was set back. */
  now(): Timespec {
    const wallMs = this.#clock.wallMs();
    // The fraction of another clock: as good as any below a millisecond.
    const fraction = Math.floor((this.#clock.nowMs() % 1) * 1e6);
    const time = {
      seconds: Math.floor(wallMs / 1000),
      nanoseconds: Math.floor(wallMs % 1000) * 1e6 + fraction,
    };
    this.#last = isBehind(time, this.#last) ? successor(this.#last) : time;
    return this.#last;
  }
}

/** Within the same second: a clock that was set back is believed. */
function isBehind(time: Timespec, last: Timespec): boolean {
  return time.seconds === last.seconds && time.nanoseconds <= last.nanoseconds;
}

function successor({ seconds, nanoseconds }: Timespec): Timespec {
  return nanoseconds + 1 < NANOSECONDS
    ? { seconds, nanoseconds: nanoseconds + 1 }
    : { seconds: seconds + 1, nanoseconds: 0 };
}
