import type { Clock, Timer } from '../../runtime/clock.ts';
import { observeDurations } from './duration-buckets.ts';
import type { SessionMetrics } from './session-metrics.ts';
import { READ_SIZE_BUCKETS } from './session-metrics.ts';
import type { WorkerStats, WorkerTotals } from './worker-stats.ts';

const PUBLISH_INTERVAL_MS = 250;

/** Carries what workers count over to the metrics, four times a second, and does `also`. */
export class ReadPublisher {
  readonly #stats: WorkerStats;
  readonly #metrics: SessionMetrics;
  readonly #clock: Clock;
  readonly #also: () => void;
  #before: WorkerTotals;
  #timer: Timer | undefined;

  constructor(options: {
    stats: WorkerStats;
    metrics: SessionMetrics;
    clock: Clock;
    also: () => void;
  }) {
    this.#stats = options.stats;
    this.#metrics = options.metrics;
    this.#clock = options.clock;
    this.#also = options.also;
    this.#before = options.stats.totals();
  }

  start(): void {
    this.#timer = this.#clock.setTimer(PUBLISH_INTERVAL_MS, () => {
      this.publish();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.publish();
  }

  /** Brings the metrics up to date. */
  publish(): void {
    this.#also();
    const now = this.#stats.totals();
    const before = this.#before;
    this.#before = now;
    this.#metrics.readsByWorker.add(now.reads - before.reads);
    this.#metrics.refused.add(now.refused - before.refused);
    this.#metrics.workerBytes.memory.add(now.memoryBytes - before.memoryBytes);
    this.#metrics.workerBytes.disk.add(now.fileBytes - before.fileBytes);
    observeDurations(this.#metrics.duration('read'), now.durations, before.durations);
    now.sizes.forEach((count, index) => {
      const times = count - (before.sizes[index] as number);
      if (times > 0) this.#metrics.readSize.observe(READ_SIZE_BUCKETS[index] as number, times);
    });
  }
}
