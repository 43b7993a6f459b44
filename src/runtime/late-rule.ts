/** When an answer is late: after so many times what is usual, within bounds. */
export interface LateRule {
  readonly factor: number;
  readonly leastMs: number;
  readonly mostMs: number;
}

/** @param usualMs - the p95 of earlier answers, 0 when nothing is known @returns ms, within the bounds */
export function lateAfterMs(usualMs: number, { factor, leastMs, mostMs }: LateRule): number {
  return Math.min(mostMs, Math.max(leastMs, factor * usualMs));
}
