import type { Counter, Metrics } from '../runtime/metrics.ts';
import type { ByteOrigin } from './loader.ts';

/** Ways in which the load path can leave its straight course. */
export type LoadEvent =
  | 'range'
  | 'joined'
  | 'peer-failed'
  | 'origin-failed'
  | 'uncached'
  | 'disk-slow'
  | 'prefetch-dropped'
  | 'served';

/** A counter in requests and bytes for every branch of the load path. */
export class LoadMetrics {
  readonly #metrics: Metrics;
  readonly #requests = new Map<ByteOrigin, Counter>();
  readonly #bytes = new Map<ByteOrigin, Counter>();
  readonly #events = new Map<LoadEvent, Counter>();

  /** @param metrics - where the counters are kept */
  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** A read was answered with `sizeBytes` bytes that came from `from`. */
  read(from: ByteOrigin, sizeBytes: number): void {
    const labels = { from };
    let requests = this.#requests.get(from);
    let bytes = this.#bytes.get(from);
    if (requests === undefined || bytes === undefined) {
      requests = this.#metrics.counter({
        name: 'mesh_reads_total',
        help: 'Block reads by where their bytes came from',
        labels,
      });
      bytes = this.#metrics.counter({
        name: 'mesh_read_bytes_total',
        help: 'Bytes read from blocks by where they came from',
        labels,
      });
      this.#requests.set(from, requests);
      this.#bytes.set(from, bytes);
    }
    requests.add();
    bytes.add(sizeBytes);
  }

  /** `sizeBytes` bytes were brought into this node by `from`, for readers or ahead of them. */
  loaded(from: 'peer' | 'origin', sizeBytes: number): void {
    this.#metrics
      .counter({
        name: 'mesh_loaded_bytes_total',
        help: 'Bytes brought into this node from peers and from the origin',
        labels: { from },
      })
      .add(sizeBytes);
  }

  /** Something out of the straight course happened. */
  event(event: LoadEvent): void {
    let counter = this.#events.get(event);
    if (counter === undefined) {
      counter = this.#metrics.counter({
        name: 'mesh_events_total',
        help: 'Branches of the block load path',
        labels: { event },
      });
      this.#events.set(event, counter);
    }
    counter.add();
  }
}
