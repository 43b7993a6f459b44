import { observeDurations } from '../../fuse/kernel/duration-buckets.ts';
import { SessionMetrics } from '../../fuse/kernel/session-metrics.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { MethodTotals, ShortcutStats } from './shortcut-stats.ts';

/** Carries what another thread counts over to the metrics of requests and metadata calls. */
export class StatsPublisher {
  readonly #stats: ShortcutStats;
  readonly #metrics: Metrics;
  readonly #session: SessionMetrics;
  readonly #asks: boolean;
  #before: MethodTotals[];

  /** @param asks - whether each request was a question to the metadata */
  constructor(stats: ShortcutStats, metrics: Metrics, asks = true) {
    this.#asks = asks;
    this.#stats = stats;
    this.#metrics = metrics;
    this.#session = new SessionMetrics(metrics);
    this.#before = stats.totals();
  }

  /** Brings the metrics up to date. */
  publish(): void {
    const now = this.#stats.totals();
    now.forEach((totals, index) => this.#add(totals, this.#before[index] as MethodTotals));
    this.#before = now;
  }

  #add(now: MethodTotals, before: MethodTotals): void {
    const { method } = now;
    if (now.count === before.count) return;
    observeDurations(this.#session.duration(method), now.durations, before.durations);
    if (!this.#asks) return;
    const labels = { method: method === 'open' ? 'getattr' : method };
    const calls = { name: 'meta_ops_total', help: 'metadata calls', labels };
    this.#metrics.counter(calls).add(now.count - before.count);
    const help = 'time spent in metadata calls';
    const seconds = { name: 'meta_ops_duration_seconds', help, labels };
    this.#metrics.counter(seconds).add(now.seconds - before.seconds);
  }
}
