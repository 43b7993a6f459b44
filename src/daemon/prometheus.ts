import { createServer, type Server } from 'node:http';
import prometheus from 'prom-client';
import type { Logger } from '../runtime/logger.ts';
import type { Labels, Metrics, MetricSpec } from '../runtime/metrics.ts';
import { statsText } from './stats-text.ts';

/** Metrics with their values, as prom-client has them. */
export type MetricFamilies = Awaited<ReturnType<prometheus.Registry['getMetricsAsJSON']>>;

/** JuiceFS's prefix, so that existing dashboards find the metrics. */
const PREFIX = 'juicefs_';

/** Metrics that a Prometheus server can scrape. */
export class PrometheusMetrics implements Metrics {
  readonly registry = new prometheus.Registry();
  readonly #beforeScrape = new Set<() => void>();

  /** @param labels - put on every metric, e.g. volume name and mount point */
  constructor(labels: Labels) {
    this.registry.setDefaultLabels(labels);
    prometheus.collectDefaultMetrics({ register: this.registry, prefix: PREFIX });
  }

  counter(spec: MetricSpec) {
    const labelNames = Object.keys(spec.labels ?? {});
    const metric = this.#find<prometheus.Counter>(spec.name, (name) => {
      return new prometheus.Counter({
        name,
        help: spec.help,
        labelNames,
        registers: [this.registry],
      });
    });
    const child = metric.labels(spec.labels ?? {});
    return { add: (amount = 1) => child.inc(amount) };
  }

  gauge(spec: MetricSpec) {
    const labelNames = Object.keys(spec.labels ?? {});
    const metric = this.#find<prometheus.Gauge>(spec.name, (name) => {
      return new prometheus.Gauge({
        name,
        help: spec.help,
        labelNames,
        registers: [this.registry],
      });
    });
    const child = metric.labels(spec.labels ?? {});
    return { set: (value: number) => child.set(value), add: (amount: number) => child.inc(amount) };
  }

  histogram(spec: MetricSpec & { buckets: readonly number[] }) {
    const labelNames = Object.keys(spec.labels ?? {});
    const metric = this.#find<prometheus.Histogram>(spec.name, (name) => {
      const { help } = spec;
      const buckets = [...spec.buckets];
      return new prometheus.Histogram({
        name,
        help,
        labelNames,
        buckets,
        registers: [this.registry],
      });
    });
    const child = metric.labels(spec.labels ?? {});
    return {
      observe: (value: number, times = 1) => {
        for (let n = 0; n < times; n++) child.observe(value);
      },
    };
  }

  /** Calls `refresh` before each scrape, for numbers that live elsewhere (tiers, worker threads). */
  onScrape(refresh: () => void): void {
    this.#beforeScrape.add(refresh);
  }

  /** The text that a scrape gets. */
  async text(): Promise<string> {
    for (const refresh of this.#beforeScrape) refresh();
    return await this.registry.metrics();
  }

  /** The lines of `.stats`. */
  async stats(): Promise<string> {
    return statsText(await this.families());
  }

  /** All metrics with their values. */
  async families(): Promise<MetricFamilies> {
    for (const refresh of this.#beforeScrape) refresh();
    return await this.registry.getMetricsAsJSON();
  }

  #find<M extends prometheus.Metric>(name: string, create: (name: string) => M): M {
    const full = PREFIX + name;
    return (this.registry.getSingleMetric(full) as M | undefined) ?? create(full);
  }
}

/** Serves `GET /metrics` until it is closed. */
export class MetricsServer {
  readonly #server: Server;
  readonly #logger: Logger;

  constructor(metrics: PrometheusMetrics, logger: Logger) {
    this.#logger = logger;
    this.#server = createServer((request, response) => {
      if (request.url !== '/metrics') {
        response.writeHead(404).end('see /metrics\n');
        return;
      }
      metrics.text().then(
        (text) =>
          response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
      );
    });
    this.#server.requestTimeout = 10_000;
    this.#server.maxConnections = 64;
  }

  /**
   * Listens; a port that is taken is replaced by a free one, since a second mount on a node must not
   * fail for its metrics.
   *
   * @returns the address in use, or undefined when there is none to be had
   */
  async start(address: { host: string; port: number }): Promise<string | undefined> {
    for (const port of new Set([address.port, 0])) {
      try {
        const bound = await this.#listen(address.host, port);
        // Without a listener an accept(2) that fails would end the process.
        this.#server.on('error', (error) => {
          this.#logger.warn({ error: String(error) }, 'the metrics server failed');
        });
        return bound;
      } catch (error) {
        this.#logger.warn({ ...address, error: String(error) }, 'the metrics port cannot be used');
      }
    }
    return undefined;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #listen(host: string, port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        this.#server.unref();
        const bound = this.#server.address();
        const chosen = typeof bound === 'object' && bound !== null ? bound.port : port;
        resolve(`${host}:${chosen}`);
      });
    });
  }
}
