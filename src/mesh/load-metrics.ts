import type { Counter, Metrics, MetricSpec } from '../runtime/metrics.ts';
import type { HedgeOutcome } from './fill-race.ts';
import type { ByteOrigin } from './loader.ts';
import type { PeerRole } from './route-plan.ts';

/** Ways in which the load path can leave its straight course. */
export type LoadEvent =
  | 'range'
  | 'joined'
  | 'peer-failed'
  | 'peer-corrupt'
  | 'peer-encryption'
  | 'origin-failed'
  | 'uncached'
  | 'disk-slow'
  | 'disk-late'
  | 'gathered'
  | 'prefetch-dropped'
  | 'served'
  | 'referred'
  | 'staged-read'
  | 'staged-failed'
  | 'stray-search'
  | 'stray-found'
  | 'replicated'
  | 'replica-dropped';

/** How a request to a source ended. */
export type SourceOutcome = 'ok' | 'absent' | 'busy' | 'referred' | 'failed' | 'aborted';

/** A counter in requests and bytes for every branch of the load path. */
export class LoadMetrics {
  readonly #metrics: Metrics;
  readonly #counters = new Map<string, Counter>();

  /** @param metrics - where the counters are kept */
  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** A read was answered with `sizeBytes` bytes that came from `from`. */
  read(from: ByteOrigin, sizeBytes: number): void {
    const labels = { from };
    const requests = this.#kept(`reads/${from}`, {
      name: 'mesh_reads_total',
      help: 'Block reads by where their bytes came from',
      labels,
    });
    const bytes = this.#kept(`read-bytes/${from}`, {
      name: 'mesh_read_bytes_total',
      help: 'Bytes read from blocks by where they came from',
      labels,
    });
    requests.add();
    bytes.add(sizeBytes);
  }

  /** A source of blocks was asked and brought `sizeBytes` bytes, for readers or ahead of them. */
  source(role: PeerRole | 'origin', outcome: SourceOutcome, sizeBytes: number): void {
    const from = role === 'origin' ? 'origin' : 'peer';
    const requests = this.#kept(`source/${role}/${outcome}`, {
      name: 'mesh_source_requests_total',
      help: 'Requests to the sources of blocks by what they are to the block and how they ended',
      labels: { role, outcome },
    });
    const roleBytes = this.#kept(`source-bytes/${role}`, {
      name: 'mesh_source_bytes_total',
      help: 'Bytes brought by the sources of blocks by what they are to the block',
      labels: { role },
    });
    const bytes = this.#kept(`loaded/${from}`, {
      name: 'mesh_loaded_bytes_total',
      help: 'Bytes brought into this node from peers and from the origin',
      labels: { from },
    });
    requests.add();
    roleBytes.add(sizeBytes);
    bytes.add(sizeBytes);
  }

  /** A second source was asked beside a slow one; `sizeBytes` bytes came of it. */
  hedge(outcome: HedgeOutcome, sizeBytes: number): void {
    const labels = { outcome };
    const hedges = this.#kept(`hedge/${outcome}`, {
      name: 'mesh_hedges_total',
      help: 'Second sources asked beside slow ones',
      labels,
    });
    const bytes = this.#kept(`hedge-bytes/${outcome}`, {
      name: 'mesh_hedge_bytes_total',
      help: 'Bytes that second sources brought, for nothing unless they won',
      labels,
    });
    hedges.add();
    bytes.add(sizeBytes);
  }

  /** The origin is asked for `sizeBytes` bytes although another node brings the block from there. */
  astray(sizeBytes: number): void {
    const bytes = this.#kept('astray', {
      name: 'mesh_astray_bytes_total',
      help: 'Bytes asked of the origin by another node than the first owner of their block',
    });
    bytes.add(sizeBytes);
  }

  /** Something out of the straight course happened. */
  event(event: LoadEvent): void {
    const spec = {
      name: 'mesh_events_total',
      help: 'Branches of the block load path',
      labels: { event },
    };
    this.#kept(`event/${event}`, spec).add();
  }

  #kept(name: string, spec: MetricSpec): Counter {
    let counter = this.#counters.get(name);
    if (counter === undefined) {
      counter = this.#metrics.counter(spec);
      this.#counters.set(name, counter);
    }
    return counter;
  }
}
