import type { Counter, Gauge, Histogram, Metrics } from '../../runtime/metrics.ts';
import { DURATION_BUCKETS } from './duration-buckets.ts';

/** Upper bounds in bytes: 4 KiB, doubled up to 1 MiB. */
export const READ_SIZE_BUCKETS = Array.from({ length: 9 }, (_, index) => 4096 * 2 ** index);

/** The metrics of a FUSE mount. Names that JuiceFS has too are spelled like there. */
export class SessionMetrics {
  readonly inFlight: Gauge;
  readonly interrupted: Counter;
  readonly abandoned: Counter;
  readonly malformed: Counter;
  readonly refused: Counter;
  readonly overloaded: Counter;
  readonly bugs: Counter;
  readonly readsByWorker: Counter;
  readonly readsByMain: Counter;
  /** Bytes that workers took from the memory tier, and from cache files. */
  readonly workerBytes: { readonly memory: Counter; readonly disk: Counter };
  readonly readSize: Histogram;
  readonly #metrics: Metrics;
  readonly #durations = new Map<string, Histogram>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    const counter = (name: string, help: string) => metrics.counter({ name, help });
    this.inFlight = metrics.gauge({
      name: 'fuse_requests_in_flight',
      help: 'requests that the main thread works on',
    });
    this.interrupted = counter('fuse_interrupted_total', 'requests that the kernel interrupted');
    this.abandoned = counter(
      'fuse_abandoned_total',
      'interrupted requests whose operation did not end in time and that were answered without it',
    );
    this.malformed = counter('fuse_malformed_total', 'requests that could not be decoded');
    this.refused = counter('fuse_replies_refused_total', 'replies that the kernel did not take');
    this.overloaded = counter(
      'fuse_overloaded_total',
      'requests refused because too many are open',
    );
    this.bugs = counter('bug_total', 'failures that only a programming error explains');
    const reads = (by: string) =>
      metrics.counter({
        name: 'fuse_reads_total',
        help: 'reads answered by worker threads and by the main thread',
        labels: { by },
      });
    this.readsByWorker = reads('worker');
    this.readsByMain = reads('main');
    const bytes = (from: 'memory' | 'disk') =>
      metrics.counter({
        name: 'fuse_worker_read_bytes_total',
        help: 'bytes that worker threads handed to the kernel, by tier',
        labels: { from },
      });
    this.workerBytes = { memory: bytes('memory'), disk: bytes('disk') };
    this.readSize = metrics.histogram({
      name: 'fuse_read_size_bytes',
      help: 'sizes of reads',
      buckets: READ_SIZE_BUCKETS,
    });
  }

  /** Failed requests by error name. */
  failed(errno: string): void {
    const help = 'requests that failed, by error';
    this.#metrics.counter({ name: 'fuse_errors_total', help, labels: { errno } }).add();
  }

  /** How long requests of a type took. */
  duration(method: string): Histogram {
    let histogram = this.#durations.get(method);
    if (histogram === undefined) {
      histogram = this.#metrics.histogram({
        name: 'fuse_ops_durations_histogram_seconds',
        help: 'durations of requests',
        labels: { method },
        buckets: DURATION_BUCKETS,
      });
      this.#durations.set(method, histogram);
    }
    return histogram;
  }
}
