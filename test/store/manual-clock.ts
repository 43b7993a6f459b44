import type { Clock } from '../../src/runtime/clock.ts';

/** Time that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** Lets `ms` pass: timers that are due run in their order, and what follows from each. */
  advance(ms: number): Promise<void>;
  /** Timers that have neither run nor been cancelled. */
  readonly timers: number;
}

/** @returns a clock at 0 ms */
export function manualClock(): ManualClock {
  const timers = new Set<{ at: number; run: () => void }>();
  let now = 0;
  const nextUpTo = (end: number) =>
    [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
  return {
    nowMs: () => now,
    wallMs: () => now,
    setTimer(delayMs, run) {
      const timer = { at: now + delayMs, run };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    async advance(ms) {
      const end = now + ms;
      await settle();
      for (let due = nextUpTo(end); due !== undefined; due = nextUpTo(end)) {
        now = due.at;
        timers.delete(due);
        due.run();
        await settle();
      }
      now = end;
    },
    get timers() {
      return timers.size;
    },
  };
}

/** Lets everything that waits for promises only go on. */
export function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
