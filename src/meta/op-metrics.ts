import type { Clock } from '../runtime/clock.ts';
import type { Counter, Metrics } from '../runtime/metrics.ts';
import type { MetaError } from './engine.ts';

interface OpCounters {
  readonly total: Counter;
  readonly seconds: Counter;
}

/** Counts what an engine does. */
export class OpMetrics {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #ops = new Map<string, OpCounters>();

  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics;
    this.#clock = clock;
  }

  /** Counts and times one call. `op` comes from the code, so there are only some of them. */
  async measure<T>(op: string, work: () => Promise<T>): Promise<T> {
    const startedMs = this.#clock.nowMs();
    try {
      return await work();
    } catch (error) {
      this.#countError(error);
      throw error;
    } finally {
      const counters = this.#countersOf(op);
      counters.total.add();
      counters.seconds.add((this.#clock.nowMs() - startedMs) / 1000);
    }
  }

  /** A try of a call failed and another one follows. */
  countRetry(error: MetaError): void {
    this.#metrics
      .counter({
        name: 'meta_retries',
        help: 'tries of metadata calls that were repeated',
        labels: { code: error.code },
      })
      .add();
  }

  #countError(error: unknown): void {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'aborted';
    this.#metrics
      .counter({ name: 'meta_errors', help: 'metadata calls that failed', labels: { code } })
      .add();
  }

  #countersOf(op: string): OpCounters {
    const known = this.#ops.get(op);
    if (known !== undefined) return known;
    const labels = { method: op };
    const counters = {
      total: this.#metrics.counter({ name: 'meta_ops_total', help: 'metadata calls', labels }),
      seconds: this.#metrics.counter({
        name: 'meta_ops_duration_seconds',
        help: 'time spent in metadata calls',
        labels,
      }),
    };
    this.#ops.set(op, counters);
    return counters;
  }
}
