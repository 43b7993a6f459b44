import type { ByteRange } from '../block/byte-range.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { abortReason } from '../runtime/deadline.ts';
import { chunkStream, discardChunks } from './chunk-stream.ts';
import {
  type ObjectBody,
  type ObjectInfo,
  type ObjectStore,
  type ReadInto,
  StoreError,
} from './object-store.ts';

/** How long a store may be silent. */
export interface StoreTimeouts {
  /** Until the headers of a GET, HEAD, DELETE or of the next part of a listing. */
  readonly getTimeoutMs: number;
  /** Between two chunks of a body. */
  readonly idleTimeoutMs: number;
  /** For a whole PUT. */
  readonly putTimeoutMs: number;
}

/**
 * No call waits longer than `timeouts` for `store`, even when that ignores its signal.
 *
 * A call that is too slow fails with StoreError `unavailable` (retryable).
 */
export function withTimeout(
  store: ObjectStore,
  clock: Clock,
  timeouts: StoreTimeouts,
): ObjectStore {
  const { getTimeoutMs, idleTimeoutMs, putTimeoutMs } = timeouts;
  const run = async <T>(
    call: { what: string; timeoutMs: number; signal: AbortSignal },
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    const watchdog = new Watchdog(clock, call.what, call.signal);
    try {
      return await watchdog.run(call.timeoutMs, work);
    } finally {
      watchdog.dispose();
    }
  };
  return {
    displayName: store.displayName,
    get: (key, range, signal) =>
      get(store, { key, range }, { clock, signal, getTimeoutMs, idleTimeoutMs }),
    head: (key, signal) =>
      run({ what: `HEAD ${key}`, timeoutMs: getTimeoutMs, signal }, (own) => store.head(key, own)),
    put: (key, body, signal) =>
      run({ what: `PUT ${key}`, timeoutMs: putTimeoutMs, signal }, (own) =>
        store.put(key, body, own),
      ),
    delete: (key, signal) =>
      run({ what: `DELETE ${key}`, timeoutMs: getTimeoutMs, signal }, (own) =>
        store.delete(key, own),
      ),
    list: (prefix, signal) => list(store, prefix, { clock, signal, timeoutMs: getTimeoutMs }),
    close: () => store.close(),
  };
}

async function get(
  store: ObjectStore,
  { key, range }: { key: string; range: ByteRange | undefined },
  options: { clock: Clock; signal: AbortSignal; getTimeoutMs: number; idleTimeoutMs: number },
): Promise<ObjectBody> {
  const watchdog = new Watchdog(options.clock, `GET ${key}`, options.signal);
  try {
    const body = await watchdog.run(options.getTimeoutMs, async (own) => {
      const answer = await store.get(key, range, own);
      // Too late: nobody waits for it any more, so nobody else would close it.
      if (own.aborted) await discardChunks(answer.chunks);
      return answer;
    });
    const source = body.chunks[Symbol.asyncIterator]();
    const next = () => source.next();
    const chunks = chunkStream({
      async read() {
        const result = await watchdog.run(options.idleTimeoutMs, next);
        return result.done === true ? undefined : result.value;
      },
      close: () => leave(source, watchdog),
    });
    const timing = { watchdog, source, idleTimeoutMs: options.idleTimeoutMs };
    return { ...body, chunks, readInto: body.readInto && timedReadInto(body.readInto, timing) };
  } catch (error) {
    watchdog.dispose();
    throw error;
  }
}

function timedReadInto(
  readInto: ReadInto,
  options: { watchdog: Watchdog; source: AsyncIterator<unknown>; idleTimeoutMs: number },
): ReadInto {
  const { watchdog, source, idleTimeoutMs } = options;
  return async (into, onReady) => {
    // Then it is not begun, and closes nothing.
    if (watchdog.signal.aborted) await leave(source, watchdog);
    try {
      await watchdog.run(idleTimeoutMs, () =>
        readInto(into, (readyBytes) => {
          watchdog.goOn();
          onReady(readyBytes);
        }),
      );
    } finally {
      watchdog.dispose();
    }
  };
}

async function* list(
  store: ObjectStore,
  prefix: string,
  { clock, signal, timeoutMs }: { clock: Clock; signal: AbortSignal; timeoutMs: number },
): AsyncIterable<ObjectInfo> {
  const watchdog = new Watchdog(clock, `LIST ${prefix}`, signal);
  const source = store.list(prefix, watchdog.signal)[Symbol.asyncIterator]();
  const next = () => source.next();
  try {
    for (;;) {
      const result = await watchdog.run(timeoutMs, next);
      if (result.done === true) return;
      yield result.value;
    }
  } finally {
    await leave(source, watchdog);
  }
}

/** Closes a source. One that was aborted is not waited for: it may hang here as it did before. */
async function leave(source: AsyncIterator<unknown>, watchdog: Watchdog): Promise<void> {
  const isAborted = watchdog.signal.aborted;
  watchdog.dispose();
  const left = source.return?.();
  // The caller already has the error that counts.
  if (isAborted) left?.catch(() => undefined);
  else await left;
}

/** Aborts one call, and everything that follows from it, once a wait in it takes too long. */
class Watchdog {
  readonly #clock: Clock;
  readonly #what: string;
  readonly #outer: AbortSignal;
  readonly #controller = new AbortController();
  readonly #onOuterAbort = () => this.#controller.abort(this.#outer.reason);
  #timer: Timer | undefined;
  /** When the timer goes off. */
  #timerAtMs = 0;
  /** Until when the running wait may last; undefined while nothing waits. */
  #deadlineMs: number | undefined;
  #timeoutMs = 0;

  constructor(clock: Clock, what: string, outer: AbortSignal) {
    if (outer.aborted) throw abortReason(outer);
    this.#clock = clock;
    this.#what = what;
    this.#outer = outer;
    outer.addEventListener('abort', this.#onOuterAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Waits for `work`, but not longer than `timeoutMs`. */
  run<T>(timeoutMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortReason(signal));
        return;
      }
      const onAbort = () => reject(abortReason(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      this.#expect(timeoutMs);
      const done = () => {
        this.#deadlineMs = undefined;
        signal.removeEventListener('abort', onAbort);
      };
      work(signal).then(
        (value) => {
          done();
          resolve(value);
        },
        (error: unknown) => {
          done();
          reject(error as Error);
        },
      );
    });
  }

  /** The running wait has brought something and may last its time once more. */
  goOn(): void {
    if (this.#deadlineMs !== undefined) this.#deadlineMs = this.#clock.nowMs() + this.#timeoutMs;
  }

  dispose(): void {
    this.#outer.removeEventListener('abort', this.#onOuterAbort);
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** A timer per chunk would cost more than the chunk: one that runs is left to look again later. */
  #expect(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
    this.#deadlineMs = this.#clock.nowMs() + timeoutMs;
    if (this.#timer !== undefined && this.#timerAtMs <= this.#deadlineMs) return;
    this.#timer?.cancel();
    this.#arm(timeoutMs);
  }

  #arm(delayMs: number): void {
    this.#timerAtMs = this.#clock.nowMs() + delayMs;
    this.#timer = this.#clock.setTimer(delayMs, this.#onTimer);
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    if (this.#deadlineMs === undefined) return;
    const leftMs = this.#deadlineMs - this.#clock.nowMs();
    if (leftMs > 0) {
      this.#arm(leftMs);
      return;
    }
    const message = `${this.#what}: no answer within ${this.#timeoutMs} ms`;
    this.#controller.abort(new StoreError('unavailable', message, { retryable: true }));
  };
}
