import { sleep } from '../../runtime/deadline.ts';
import type { ChangeListener, ChangeStream } from '../change-stream.ts';
import { ChangeMeter } from './change-meter.ts';
import type { ClientCache } from './client-cache.ts';
import { isErrorReply, toMetaError } from './redis-errors.ts';
import type { RedisUrl } from './redis-url.ts';
import { BusyError, TrackingConnection, type TrackingOptions } from './tracking-connection.ts';

const FIRST_PAUSE_MS = 50;
const PAUSE_MAX_MS = 1_000;
/** A server that said no (it is old, or does not allow it) may be another one later. */
const REFUSED_PAUSE_MS = 60_000;
/** Nobody listens for so long when there are too many changes. */
const BUSY_PAUSE_MS = 30_000;

/**
 * The changes of a volume as Redis (6 or later) tells them to clients that cache: the names of all keys
 * that were written, by whomever, on a connection that asks for them.
 *
 * @see https://redis.io/docs/latest/develop/reference/client-side-caching/ "Broadcasting mode"
 */
export class RedisChanges implements ChangeStream {
  readonly expiryMs: number;
  readonly sizeMax: number | undefined;
  readonly #options: TrackingOptions;

  /** @param cache - what the metadata URL says of it */
  constructor(options: TrackingOptions, cache: ClientCache) {
    this.#options = options;
    this.expiryMs = cache.expiryMs;
    this.sizeMax = cache.sizeMax;
  }

  /**
   * Whether a server is one of which it is certain that it has all changes as long as it answers. One
   * that was replaced as the primary goes on answering, and tells nothing.
   */
  static isPossible({ place }: RedisUrl): boolean {
    return place.kind === 'single' || place.kind === 'socket';
  }

  /** @see ChangeStream.subscribe */
  subscribe(listener: ChangeListener): () => void {
    const ending = new AbortController();
    void this.#listen(listener, ending.signal);
    return () => ending.abort(new Error('nobody listens to changes any more'));
  }

  async #listen(listener: ChangeListener, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options.context;
    const meter = new ChangeMeter(this.#options.context);
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      const connection = new TrackingConnection(this.#options, {
        changed: (changes) => {
          meter.changed(changes);
          listener.changed(changes);
        },
        proven: (atMs) => {
          pauseMs = FIRST_PAUSE_MS;
          meter.proven();
          listener.proven(atMs);
        },
        lost: () => listener.lost(),
      });
      const error = await connection.run(signal);
      if (meter.isAlive) listener.lost();
      if (signal.aborted) break;
      meter.ended(error);
      await sleep(clock, pauseAfter(error) ?? pauseMs, signal).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS);
    }
    meter.stopped();
  }
}

/** @returns undefined when it may work again at once */
function pauseAfter(error: Error): number | undefined {
  if (error instanceof BusyError) return BUSY_PAUSE_MS;
  return isErrorReply(error) && !toMetaError(error).retryable ? REFUSED_PAUSE_MS : undefined;
}
