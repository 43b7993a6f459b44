import type { Histogram } from '../../runtime/metrics.ts';

/** Upper bounds in seconds: 10 µs, doubled up to 84 s. */
export const DURATION_BUCKETS = Array.from({ length: 24 }, (_, index) => 1e-5 * 2 ** index);
/** What was counted in a bucket is observed as this part of its upper bound: about its middle. */
const MIDDLE = 0.75;

/** Place of a duration in {@link DURATION_BUCKETS}; the last one takes all that is longer. */
export function durationBucket(durationMs: number): number {
  const steps = Math.max(1, Math.ceil(durationMs / ((DURATION_BUCKETS[0] as number) * 1000)));
  return Math.min(ceilLog2(steps), DURATION_BUCKETS.length - 1);
}

/**
 * Observes what threads have counted in buckets since they were looked at last.
 *
 * @param now - times by bucket since the start; `before`: the same when looked at last
 */
export function observeDurations(
  histogram: Histogram,
  now: readonly number[],
  before: readonly number[],
): void {
  now.forEach((count, index) => {
    const times = count - (before[index] as number);
    if (times > 0) histogram.observe((DURATION_BUCKETS[index] as number) * MIDDLE, times);
  });
}

/** @param value - 1 … 2^31 */
export function ceilLog2(value: number): number {
  return 32 - Math.clz32(value - 1);
}
