import type { Clock, Timer } from './clock.ts';
import type { Counter, Gauge, Histogram, Metrics, MetricSpec } from './metrics.ts';

/** How long what a thread counts may take to be seen. */
const RELAY_EVERY_MS = 250;

/** What was counted since the last relay; plain, to be sent to another thread. */
export interface CountedBatch {
  /** Amounts to add to counters and gauges. */
  readonly amounts: readonly { readonly spec: MetricSpec; readonly amount: number }[];
  readonly gauges: readonly { readonly spec: MetricSpec; readonly amount: number }[];
  readonly observed: readonly {
    readonly spec: MetricSpec & { buckets: readonly number[] };
    readonly values: readonly number[];
  }[];
}

interface Tally {
  readonly spec: MetricSpec;
  readonly kind: 'counter' | 'gauge';
  amount: number;
}

/**
 * Metrics of a thread that has no registry: sums are sent to one that has, at most every 250 ms.
 * A gauge's `set` is sent as the difference to what this thread set before, so that the gauges of
 * several threads add up.
 */
export class RelayedMetrics implements Metrics {
  readonly #clock: Clock;
  readonly #send: (batch: CountedBatch) => void;
  readonly #tallies = new Map<string, Tally>();
  readonly #observed = new Map<string, CountedBatch['observed'][number] & { values: number[] }>();
  readonly #dirty = new Set<Tally>();
  #timer: Timer | undefined;

  /** @param send - hands a batch to the thread with the registry: {@link applyCounted} */
  constructor(clock: Clock, send: (batch: CountedBatch) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  counter(spec: MetricSpec): Counter {
    const tally = this.#tally(spec, 'counter');
    return { add: (amount = 1) => this.#add(tally, amount) };
  }

  gauge(spec: MetricSpec): Gauge {
    const tally = this.#tally(spec, 'gauge');
    let value = 0;
    return {
      add: (amount) => {
        value += amount;
        this.#add(tally, amount);
      },
      set: (next) => {
        this.#add(tally, next - value);
        value = next;
      },
    };
  }

  histogram(spec: MetricSpec & { buckets: readonly number[] }): Histogram {
    const key = keyOf(spec);
    const known = this.#observed.get(key) ?? { spec, values: [] };
    this.#observed.set(key, known);
    return {
      observe: (value, times = 1) => {
        for (let count = 0; count < times; count += 1) known.values.push(value);
        this.#relayLater();
      },
    };
  }

  /** Sends what has not been sent. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    const take = (kind: Tally['kind']) =>
      dirty.filter((tally) => tally.kind === kind).map(({ spec, amount }) => ({ spec, amount }));
    const seen = [...this.#observed.values()].filter(({ values }) => values.length > 0);
    const observed = seen.map(({ spec, values }) => ({ spec, values: values.splice(0) }));
    const batch = { amounts: take('counter'), gauges: take('gauge'), observed };
    for (const tally of dirty) tally.amount = 0;
    if (dirty.length > 0 || observed.length > 0) this.#send(batch);
  }

  #tally(spec: MetricSpec, kind: Tally['kind']): Tally {
    const key = keyOf(spec);
    let tally = this.#tallies.get(key);
    if (tally === undefined) {
      tally = { spec, kind, amount: 0 };
      this.#tallies.set(key, tally);
    }
    return tally;
  }

  #add(tally: Tally, amount: number): void {
    tally.amount += amount;
    this.#dirty.add(tally);
    this.#relayLater();
  }

  #relayLater(): void {
    this.#timer ??= this.#clock.setTimer(RELAY_EVERY_MS, () => this.flush());
  }
}

/** Adds what another thread counted to the metrics of this one. */
export function applyCounted(metrics: Metrics, batch: CountedBatch): void {
  for (const { spec, amount } of batch.amounts) metrics.counter(spec).add(amount);
  for (const { spec, amount } of batch.gauges) metrics.gauge(spec).add(amount);
  for (const { spec, values } of batch.observed) {
    const histogram = metrics.histogram(spec);
    for (const value of values) histogram.observe(value);
  }
}

function keyOf({ name, labels = {} }: MetricSpec): string {
  const names = Object.keys(labels).sort();
  return JSON.stringify([name, ...names.flatMap((label) => [label, labels[label]])]);
}
