/** The middle value; the mean of both for an even number. Undefined for none. */
export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined || sorted.length % 2 === 1) return upper;
  return ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** How much faster one column was than another, round by round. */
export interface Ratio {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/**
 * Divides values of the same round, since the machine differs more between rounds than within one.
 *
 * @returns undefined when no round has both
 */
export function ratioOf(
  values: ReadonlyMap<number, number>,
  reference: ReadonlyMap<number, number>,
): Ratio | undefined {
  const ratios: number[] = [];
  for (const [round, value] of values) {
    const other = reference.get(round);
    if (other !== undefined && other > 0) ratios.push(value / other);
  }
  const middle = median(ratios);
  if (middle === undefined) return undefined;
  return { median: middle, lowest: Math.min(...ratios), highest: Math.max(...ratios) };
}
