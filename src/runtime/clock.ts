/** A timer that was started by {@link Clock.setTimer}. */
export interface Timer {
  /** Stops the timer; harmless when it has fired. */
  cancel(): void;
}

/**
 * The only door to time. The daemon hands in {@link systemClock}, the simulator a virtual one.
 */
export interface Clock {
  /** Milliseconds that never go back; the origin is arbitrary. */
  nowMs(): number;
  /** Wall-clock milliseconds since 1970, for what people or other clients read. */
  wallMs(): number;
  /** Calls `run` once after `delayMs`; does not keep the process alive. */
  setTimer(delayMs: number, run: () => void): Timer;
}

/** What is longer would fire at once. @see setTimeout of Node */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The machine's own clock. Timers take 24 days at most. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(delayMs, run) {
    const handle = setTimeout(run, Math.min(delayMs, TIMER_MS_MAX));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/**
 * Milliseconds of the machine's monotonic clock: unlike {@link Clock.nowMs} of the system's clock, it
 * has one origin for all threads.
 */
export function machineMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
