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
  const cells = new Map<string, { value: number }>();
  const cellOf = ({ name, labels }: MetricSpec): { value: number } => {
    const key = metricKey(name, labels);
    const known = cells.get(key);
    if (known !== undefined) return known;
    const cell = { value: 0 };
    cells.set(key, cell);
    return cell;
  };
  return {
    counter(spec) {
      const cell = cellOf(spec);
      return {
        add: (amount = 1) => {
          cell.value += amount;
        },
      };
    },
    gauge(spec) {
      const cell = cellOf(spec);
      return {
        set: (value) => {
          cell.value = value;
        },
        add: (amount) => {
          cell.value += amount;
        },
      };
    },
    histogram(spec) {
      const cell = cellOf(spec);
      return {
        observe: (_, times = 1) => {
          cell.value += times;
        },
      };
    },
    value: (name, labels) => cells.get(metricKey(name, labels))?.value ?? 0,
  };
}

function metricKey(name: string, labels: Labels | undefined): string {
  if (labels === undefined) return `${name}{}`;
  const pairs = Object.keys(labels)
    .sort()
    .map((label) => `${label}="${labels[label]}"`);
  return `${name}{${pairs.join(',')}}`;
}
