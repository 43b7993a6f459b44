import type { Random } from '../runtime/random.ts';

/** How pauses between attempts grow. */
export interface Backoff {
  /** About the first pause. */
  readonly baseMs: number;
  /** No pause is longer. */
  readonly maxMs: number;
}

/**
 * The pause after failed attempt number `attempt` (from 1): doubles each time, and half of it is
 * chance, so that nodes that failed together do not come back together.
 */
export function backoffMs(backoff: Backoff, attempt: number, random: Random): number {
  const full = Math.min(backoff.maxMs, backoff.baseMs * 2 ** (attempt - 1));
  return full / 2 + random.below(Math.max(1, Math.ceil(full / 2)));
}
