/** A number that only grows. */
export interface Counter {
  add(amount?: number): void;
}

/** A number that goes up and down. */
export interface Gauge {
  set(value: number): void;
  add(amount: number): void;
}

/** Observed values, in buckets. */
export interface Histogram {
  /** @param times - how often the value was observed; default 1 */
  observe(value: number, times?: number): void;
}

/** Label names and values that tell metrics of one name apart, e.g. `{ method: 'GET' }`. */
export type Labels = Readonly<Record<string, string>>;

/** What a metric is: a name with JuiceFS's prefix-less spelling (`object_request_errors`) and a text. */
export interface MetricSpec {
  /** Prometheus name without the `juicefs_` prefix that the daemon puts in front. */
  readonly name: string;
  readonly help: string;
  readonly labels?: Labels;
}

/**
 * Hands out metrics. The same spec always gives the same metric, so callers need not keep it.
 * The daemon's registry publishes to Prometheus; {@link memoryMetrics} is for tests and the simulator.
 */
export interface Metrics {
  counter(spec: MetricSpec): Counter;
  gauge(spec: MetricSpec): Gauge;
  /** @param buckets - upper bounds, ascending */
  histogram(spec: MetricSpec & { buckets: readonly number[] }): Histogram;
}

/** Metrics that can be read back by `name{label="value"}`. */
export interface MemoryMetrics extends Metrics {
  /** The present value of a counter or gauge, or the number of observations; 0 when never used. */
  value(name: string, labels?: Labels): number;
}

/** @returns metrics that live in memory only */
export function memoryMetrics(): MemoryMetrics {
  const values = new Map<string, number>();
  const bump = (key: string, amount: number) => values.set(key, (values.get(key) ?? 0) + amount);
  return {
    counter: (spec) => ({
      add: (amount = 1) => void bump(metricKey(spec.name, spec.labels), amount),
    }),
    gauge: (spec) => ({
      set: (value) => void values.set(metricKey(spec.name, spec.labels), value),
      add: (amount) => void bump(metricKey(spec.name, spec.labels), amount),
    }),
    histogram: (spec) => ({
      observe: (_, times = 1) => void bump(metricKey(spec.name, spec.labels), times),
    }),
    value: (name, labels) => values.get(metricKey(name, labels)) ?? 0,
  };
}

function metricKey(name: string, labels: Labels = {}): string {
  const pairs = Object.keys(labels)
    .sort()
    .map((label) => `${label}="${labels[label]}"`);
  return `${name}{${pairs.join(',')}}`;
}
