import type { Clock } from '../runtime/clock.ts';
import type { Counter, Histogram, Metrics } from '../runtime/metrics.ts';
import { watchBody } from './chunk-stream.ts';
import type { ObjectInfo, ObjectStore } from './object-store.ts';

/** JuiceFS's buckets of this histogram: 10 ms × 1.5^n, 25 of them. */
const DURATION_BUCKETS_S = Array.from({ length: 25 }, (_, index) => 0.01 * 1.5 ** index);

/**
 * Counts requests, their time until the last byte, their bytes and their failures, under JuiceFS's
 * names. What the caller aborted or left early is no failure.
 */
export function withMetrics(store: ObjectStore, clock: Clock, metrics: Metrics): ObjectStore {
  const get = new MethodMetrics('GET', clock, metrics);
  const put = new MethodMetrics('PUT', clock, metrics);
  const head = new MethodMetrics('HEAD', clock, metrics);
  const remove = new MethodMetrics('DELETE', clock, metrics);
  const listing = new MethodMetrics('LIST', clock, metrics);
  return {
    displayName: store.displayName,
    async get(key, range, signal) {
      const request = get.begin(signal);
      try {
        return watchBody(await store.get(key, range, signal), request);
      } catch (error) {
        request.onEnd(error);
        throw error;
      }
    },
    async put(key, body, signal) {
      await put.run(signal, () => store.put(key, body, signal));
      put.bytes.add(body.byteLength);
    },
    head: (key, signal) => head.run(signal, () => store.head(key, signal)),
    delete: (key, signal) => remove.run(signal, () => store.delete(key, signal)),
    list: (prefix, signal) => watchedList(store.list(prefix, signal), listing.begin(signal)),
    close: () => store.close(),
  };
}

async function* watchedList(
  items: AsyncIterable<ObjectInfo>,
  request: Request,
): AsyncIterable<ObjectInfo> {
  try {
    yield* items;
  } catch (error) {
    request.onEnd(error);
    throw error;
  } finally {
    request.onEnd();
  }
}

interface Request {
  onBytes(count: number): void;
  onEnd(error?: unknown): void;
}

class MethodMetrics {
  readonly bytes: Counter;
  readonly #durations: Histogram;
  readonly #errors: Counter;
  readonly #clock: Clock;

  constructor(method: string, clock: Clock, metrics: Metrics) {
    const labels = { method };
    this.#clock = clock;
    this.#durations = metrics.histogram({
      name: 'object_request_durations_histogram_seconds',
      help: 'Object requests latency distributions.',
      labels,
      buckets: DURATION_BUCKETS_S,
    });
    this.bytes = metrics.counter({
      name: 'object_request_data_bytes',
      help: 'Object requests size in bytes.',
      labels,
    });
    this.#errors = metrics.counter({
      name: 'object_request_errors',
      help: 'failed requests to object store',
    });
  }

  begin(signal: AbortSignal): Request {
    const startMs = this.#clock.nowMs();
    let bytes = 0;
    let ended = false;
    return {
      onBytes: (count) => {
        bytes += count;
      },
      onEnd: (error) => {
        if (ended) return;
        ended = true;
        if (error !== undefined && !signal.aborted) this.#errors.add();
        this.#durations.observe((this.#clock.nowMs() - startMs) / 1000);
        if (bytes > 0) this.bytes.add(bytes);
      },
    };
  }

  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const request = this.begin(signal);
    try {
      const result = await work();
      request.onEnd();
      return result;
    } catch (error) {
      request.onEnd(error);
      throw error;
    }
  }
}
