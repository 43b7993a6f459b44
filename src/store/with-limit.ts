import type { Clock } from '../runtime/clock.ts';
import { DeadlineError, withDeadline } from '../runtime/deadline.ts';
import { QueueFullError, Semaphore } from '../runtime/semaphore.ts';
import { watchBody } from './chunk-stream.ts';
import { type ObjectStore, StoreError } from './object-store.ts';

/** How much may be under way at once. */
export interface LimitOptions {
  /** GETs at once, their bodies included (`--max-downloads`). */
  readonly downloadsMax: number;
  /** PUTs at once (`--max-uploads`). */
  readonly uploadsMax: number;
  /** Calls of one kind that wait for their turn; one more fails at once. */
  readonly queueMax: number;
  /** Longest wait for a turn. */
  readonly queueTimeoutMs: number;
  readonly clock: Clock;
}

/**
 * Bounds how many GETs and PUTs run at once; the others wait in a bounded queue.
 *
 * A call that finds the queue full, or waits too long, fails with StoreError `unavailable`
 * (retryable). A GET keeps its place until its body ends or is left.
 */
export function withLimit(store: ObjectStore, options: LimitOptions): ObjectStore {
  const downloads = new Semaphore(options.downloadsMax, options.queueMax);
  const uploads = new Semaphore(options.uploadsMax, options.queueMax);
  return {
    displayName: store.displayName,
    async get(key, range, signal) {
      const leave = await enter(downloads, `GET ${key}`, { ...options, signal });
      try {
        const body = await store.get(key, range, signal);
        return watchBody(body, { onEnd: leave });
      } catch (error) {
        leave();
        throw error;
      }
    },
    async put(key, body, signal) {
      const leave = await enter(uploads, `PUT ${key}`, { ...options, signal });
      try {
        await store.put(key, body, signal);
      } finally {
        leave();
      }
    },
    head: (key, signal) => store.head(key, signal),
    delete: (key, signal) => store.delete(key, signal),
    list: (prefix, signal) => store.list(prefix, signal),
    close: () => store.close(),
  };
}

async function enter(
  places: Semaphore,
  what: string,
  { clock, queueTimeoutMs, signal }: LimitOptions & { signal: AbortSignal },
): Promise<() => void> {
  try {
    return await withDeadline(clock, { what, timeoutMs: queueTimeoutMs, signal }, (own) =>
      places.acquire(own),
    );
  } catch (error) {
    if (error instanceof QueueFullError || error instanceof DeadlineError) {
      const message = `${what}: no place among the running requests: ${error.message}`;
      throw new StoreError('unavailable', message, { retryable: true, cause: error });
    }
    throw error;
  }
}
