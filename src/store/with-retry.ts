import type { Clock } from '../runtime/clock.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { sleep } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import { type Backoff, backoffMs } from './backoff.ts';
import type { ObjectStore } from './object-store.ts';

/** How to try again. */
export interface RetryOptions {
  /** Attempts in all, ≥ 1. */
  readonly attempts: number;
  readonly backoff: Backoff;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * Repeats calls whose error says that it may help (`retryable`), a bounded number of times.
 *
 * A GET is repeated until its headers came: once chunks were handed out their errors are the
 * caller's. A listing is not repeated.
 */
export function withRetry(store: ObjectStore, options: RetryOptions): ObjectStore {
  const run = <T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
    retry({ what, signal }, options, work);
  return {
    displayName: store.displayName,
    get: (key, range, signal) => run(`GET ${key}`, signal, () => store.get(key, range, signal)),
    head: (key, signal) => run(`HEAD ${key}`, signal, () => store.head(key, signal)),
    put: (key, body, signal) => run(`PUT ${key}`, signal, () => store.put(key, body, signal)),
    delete: (key, signal) => run(`DELETE ${key}`, signal, () => store.delete(key, signal)),
    list: (prefix, signal) => store.list(prefix, signal),
    close: () => store.close(),
  };
}

async function retry<T>(
  { what, signal }: { what: string; signal: AbortSignal },
  options: RetryOptions,
  work: () => Promise<T>,
): Promise<T> {
  const { attempts, backoff, clock, random, logger, metrics } = options;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const isRetryable = error instanceof CodedError && error.retryable;
      if (signal.aborted || !isRetryable || attempt >= attempts) throw error;
      metrics.counter(RETRIES).add();
      logger.warn({ what, attempt, error: error.message }, 'object request failed, trying again');
      await sleep(clock, backoffMs(backoff, attempt, random), signal);
    }
  }
}

const RETRIES = {
  name: 'object_request_retries',
  help: 'Object requests that were made again after a failure.',
};
