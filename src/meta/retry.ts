import { FsError } from '../posix/errno.ts';
import type { Clock } from '../runtime/clock.ts';
import { abortReason, sleep } from '../runtime/deadline.ts';
import type { Random } from '../runtime/random.ts';
import type { GuardedCall } from './call-guard.ts';
import type { MetaError } from './engine.ts';

/** How the tries of one call follow each other. */
export interface RetryPolicy {
  readonly clock: Clock;
  readonly random: Random;
  /** Pause after the first try; it doubles with each try. */
  readonly firstPauseMs: number;
  readonly pauseMaxMs: number;
  /** Turns what a try threw into the error to report; `retryable` decides whether to go on. */
  classify(error: unknown): MetaError;
  /** Told before each pause. */
  onRetry(error: MetaError): void;
}

/**
 * Makes a call again and again until it works, fails for good, or nobody waits for it any more.
 *
 * @throws FsError of the try; MetaError of the policy; the call's reason when it is over
 */
export async function retryCall<T>(
  call: GuardedCall,
  policy: RetryPolicy,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let pauseMs = policy.firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, policy.pauseMaxMs)) {
    try {
      return await attempt();
    } catch (error) {
      if (call.isOver) throw abortReason(call.signal);
      // An answer, if not the one that was hoped for.
      if (error instanceof FsError) throw error;
      const failure = policy.classify(error);
      if (!failure.retryable) throw failure;
      call.lastError = failure;
      policy.onRetry(failure);
    }
    // Somewhere in the second half, so that callers of one outage do not come back all at once.
    const jitterMs = policy.random.below(Math.ceil(pauseMs / 2));
    await sleep(policy.clock, pauseMs / 2 + jitterMs, call.signal);
  }
}
