import type { DrainProgress } from '../mesh/warm/drain.ts';
import type { GroupView } from '../peer/block-exchange.ts';
import type { MemberReport } from '../peer/member-report.ts';
import type { DiskTier, MemoryTier } from '../store/tier.ts';
import type { MetricFamilies } from './prometheus.ts';

/** Where a report's numbers come from. */
export interface ReportSources {
  readonly metrics: { families(): Promise<MetricFamilies> };
  readonly memory: MemoryTier;
  readonly disk: DiskTier | undefined;
  readonly view: GroupView;
  readonly ring: string;
  readonly drain: DrainProgress | undefined;
  /** What waits to be uploaded. */
  readonly staged: { readonly blocks: number; readonly bytes: number } | undefined;
}

const NOTHING = { blocks: 0, usedBytes: 0, capacityBytes: 0 };

/** How this node is doing, for `cachemesh status` and `top`. */
export async function ownReport(sources: ReportSources): Promise<MemberReport> {
  const sums = new Sums(await sources.metrics.families());
  const { view, ring, drain, staged } = sources;
  const memory = sources.memory.usage();
  const disk = sources.disk?.usage() ?? NOTHING;
  return {
    epoch: view.epoch,
    members: view.members.length,
    ring,
    memoryBlocks: memory.blocks,
    memoryBytes: memory.usedBytes,
    memoryCapacityBytes: memory.capacityBytes,
    diskBlocks: disk.blocks,
    diskBytes: disk.usedBytes,
    diskCapacityBytes: disk.capacityBytes,
    ...traffic(sums),
    ...latency(sums),
    peerErrors: sums.of('remotecache_get_errors'),
    servedErrors: sums.of('remotecache_served_errors'),
    originErrors: sums.of('object_request_errors'),
    fuseErrors: sums.of('fuse_errors_total'),
    stagedBlocks: staged?.blocks ?? 0,
    stagedBytes: staged?.bytes ?? 0,
    drainState: drain?.state ?? 'off',
    drainBlocksDone: drain?.blocksDone ?? 0,
    drainBytesDone: drain?.bytesDone ?? 0,
    drainBlocksLeft: drain?.blocksLeft ?? 0,
    drainBytesLeft: drain?.bytesLeft ?? 0,
    drainBlocksFailed: drain?.blocksFailed ?? 0,
  };
}

function traffic(sums: Sums) {
  const read = (from: string) => sums.of('mesh_read_bytes_total', { from });
  // Worker threads count apart what they serve from the caches.
  const readByWorkers = (from: string) => sums.of('fuse_worker_read_bytes_total', { from });
  return {
    servedBlocks: sums.of('remotecache_served_blocks'),
    servedBytes: sums.of('remotecache_served_bytes'),
    fetchedPeerBytes: sums.of('mesh_loaded_bytes_total', { from: 'peer' }),
    fetchedOriginBytes: sums.of('mesh_loaded_bytes_total', { from: 'origin' }),
    readMemoryBytes: read('memory') + readByWorkers('memory'),
    readDiskBytes: read('disk') + readByWorkers('disk'),
    readPeerBytes: read('peer'),
    readOriginBytes: read('origin'),
  };
}

function latency(sums: Sums) {
  const name = 'remotecache_get_durations_histogram_seconds';
  const peerReads = sums.of(name, {}, '_count');
  const seconds = sums.of(name, {}, '_sum');
  return {
    peerReads,
    peerReadMeanMs: peerReads === 0 ? 0 : (1000 * seconds) / peerReads,
    peerReadP95Ms: 1000 * sums.quantile(name, 0.95),
  };
}

interface Sample {
  readonly value: number;
  readonly labels: Partial<Record<string, string | number>>;
  readonly metricName?: string;
}

/** Sums over the samples of a metric. */
class Sums {
  readonly #samples: ReadonlyMap<string, readonly Sample[]>;

  constructor(families: MetricFamilies) {
    this.#samples = new Map(
      families.map(({ name, values }) => [name.replace(/^juicefs_/, ''), values as Sample[]]),
    );
  }

  /** @param end - of a histogram: `_count` or `_sum` */
  of(name: string, labels: Readonly<Record<string, string>> = {}, end = ''): number {
    const wanted = Object.entries(labels);
    return (this.#samples.get(name) ?? [])
      .filter((sample) => end === '' || sample.metricName?.endsWith(end) === true)
      .filter((sample) => wanted.every(([label, value]) => sample.labels[label] === value))
      .reduce((sum, { value }) => sum + value, 0);
  }

  /** The upper end of the bucket of a histogram in which a quantile lies; 0 without values. */
  quantile(name: string, quantile: number): number {
    const count = this.of(name, {}, '_count');
    const buckets = (this.#samples.get(name) ?? [])
      .filter(({ metricName }) => metricName?.endsWith('_bucket') === true)
      .map(({ labels, value }) => ({ end: Number(labels['le']), value }))
      .filter(({ end }) => Number.isFinite(end))
      .sort((a, b) => a.end - b.end);
    if (count === 0) return 0;
    const found = buckets.find(({ value }) => value >= quantile * count) ?? buckets.at(-1);
    return found?.end ?? 0;
  }
}
