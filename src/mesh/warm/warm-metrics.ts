import type { Metrics } from '../../runtime/metrics.ts';

/** What warming up counts. */
export class WarmMetrics {
  readonly #metrics: Metrics;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** This node was asked to keep a block. */
  kept(outcome: 'fetched' | 'held' | 'failed', sizeBytes: number): void {
    const labels = { outcome };
    this.#metrics
      .counter({ name: 'warmup_blocks', help: 'Blocks that this node was asked to keep', labels })
      .add();
    this.#metrics
      .counter({ name: 'warmup_bytes', help: 'Bytes that this node was asked to keep', labels })
      .add(sizeBytes);
  }

  /** A block of this node was handed over, or not. @param leftBytes - what is still to go */
  drained(outcome: 'fetched' | 'held' | 'failed' | 'gone', sizeBytes: number, leftBytes: number) {
    const labels = { outcome };
    this.#metrics
      .counter({
        name: 'drain_blocks',
        help: 'Blocks that were to go to their next owners',
        labels,
      })
      .add();
    this.#metrics
      .counter({ name: 'drain_bytes', help: 'Bytes that were to go to their next owners', labels })
      .add(sizeBytes);
    this.#metrics
      .gauge({ name: 'drain_left_bytes', help: 'Bytes that are still to go' })
      .set(leftBytes);
  }

  /** Bytes that are being fetched or written for warming up. */
  inFlight(sizeBytes: number): void {
    this.#metrics
      .gauge({ name: 'warmup_in_flight_bytes', help: 'Bytes on their way for warming up' })
      .set(sizeBytes);
  }

  /** `moved`: a block went to its next owner; `owner-lost`: an owner did not answer; `expired`: nobody asked for a batch any more; `busy`: an owner had no place. */
  event(event: 'moved' | 'owner-lost' | 'expired' | 'busy', times = 1): void {
    this.#metrics
      .counter({ name: 'warmup_events', help: 'What went another way', labels: { event } })
      .add(times);
  }
}
