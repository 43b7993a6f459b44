import type { Counter, Gauge, Metrics } from '../runtime/metrics.ts';

/** JuiceFS's names for what block caches do, both tiers together, and ours for damaged blocks. */
export interface TierMetrics {
  readonly hits: Counter;
  readonly hitBytes: Counter;
  readonly misses: Counter;
  readonly writes: Counter;
  readonly writeBytes: Counter;
  readonly drops: Counter;
  readonly evicts: Counter;
  readonly ioErrors: Counter;
  readonly hangs: Counter;
  readonly damaged: Counter;
  readonly blocks: Gauge;
  readonly bytes: Gauge;
}

/** @returns the metrics of a tier; every tier of a process adds to the same ones */
export function tierMetrics(metrics: Metrics): TierMetrics {
  const counter = (name: string, help: string) =>
    metrics.counter({ name: `blockcache_${name}`, help });
  const gauge = (name: string, help: string) => metrics.gauge({ name: `blockcache_${name}`, help });
  return {
    hits: counter('hits', 'Blocks found in the local caches'),
    hitBytes: counter('hit_bytes', 'Bytes of blocks found in memory, or read from cache files'),
    misses: counter('miss', 'Blocks found in no local cache'),
    writes: counter('writes', 'Blocks written to the caches'),
    writeBytes: counter('write_bytes', 'Bytes written to the caches'),
    drops: counter('drops', 'Blocks not cached since the disks are too slow, full or gone'),
    evicts: counter('evicts', 'Blocks evicted from the caches'),
    ioErrors: counter('io_errors', 'Errors of cache disks'),
    hangs: counter('hangs', 'Times a cache disk stood still and was passed over until it answered'),
    damaged: counter('damaged', 'Blocks dropped since their cache file was wrong or incomplete'),
    blocks: gauge('blocks', 'Blocks in the caches'),
    bytes: gauge('bytes', 'Bytes that blocks take in the caches'),
  };
}
