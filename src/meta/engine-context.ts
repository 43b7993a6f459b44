import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';

/** What every metadata engine is given. */
export interface EngineContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Longest time of one call, retries included. */
  readonly deadlineMs: number;
}

/** Calls under way at once, also such as nobody waits for any more; one more is refused. */
export const CALLS_MAX = 8192;

/** A session is dead when it was not refreshed for so long. */
export const SESSION_TTL_MS = 60_000;

/** The expiry of a session that is refreshed now, in whole seconds since 1970 as it is stored. */
export function sessionExpirySeconds(clock: Clock): number {
  return Math.floor((clock.wallMs() + SESSION_TTL_MS) / 1000);
}
