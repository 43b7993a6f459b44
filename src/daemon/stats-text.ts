import type { MetricObjectWithValues, MetricValue } from 'prom-client';

type Family = MetricObjectWithValues<MetricValue<string>>;

/** Labels that become a part of a name, in JuiceFS's order. */
const NAMED_LABELS = ['errno', 'method'];
const PREFIX = 'juicefs_';

/** Lines that JuiceFS has under another name, from ours: sums of metrics. */
const DERIVED: readonly (readonly [name: string, from: readonly string[]])[] = [
  ['cpu_usage', ['process_cpu_seconds_total']],
  ['memory', ['process_resident_memory_bytes']],
  ['go_memstats_alloc_bytes', ['nodejs_heap_size_used_bytes']],
  ['go_memstats_sys_bytes', ['process_resident_memory_bytes']],
  ['store_cache_size_bytes', ['blockcache_bytes']],
  ['meta_ops_durations_histogram_seconds_total', ['meta_ops_total']],
  ['meta_ops_durations_histogram_seconds_sum', ['meta_ops_duration_seconds']],
  // Worker threads count apart what they serve from the caches.
  ['blockcache_hit_bytes', ['blockcache_hit_bytes', 'fuse_worker_read_bytes_total']],
  ['fuse_written_size_bytes_sum', []],
  ['transaction_restart', []],
];

/**
 * All metrics as `.stats` shows them, for `juicefs stats`: a name and a value on each line. Values of
 * the labels `method` and `errno` are appended to the name; what other labels tell apart is summed
 * up. Histograms give `_total`, their count, and `_sum`, also over all methods together.
 */
export function statsText(families: readonly Family[]): string {
  const lines = new Map<string, number>();
  const add = (name: string, value: number) => lines.set(name, (lines.get(name) ?? 0) + value);
  for (const family of families) {
    const isHistogram = String(family.type) === 'histogram';
    if (String(family.type) === 'summary') continue;
    for (const { labels, value, metricName } of family.values as (MetricValue<string> & {
      metricName?: string;
    })[]) {
      const suffix = suffixOf(labels);
      if (!isHistogram) {
        add(family.name + suffix, value);
        if (suffix !== '' && isDerivedFrom(family.name)) add(family.name, value);
        continue;
      }
      const kind = metricName?.slice(family.name.length);
      const end = kind === '_count' ? '_total' : kind === '_sum' ? '_sum' : undefined;
      if (end === undefined) continue;
      add(`${family.name}${end}`, value);
      if (suffix !== '') add(`${family.name}${suffix}${end}`, value);
    }
  }
  const derived = DERIVED.map(([name, from]) => {
    const sum = from.reduce((total, each) => total + (lines.get(PREFIX + each) ?? 0), 0);
    return [PREFIX + name, sum] as const;
  });
  for (const [name, value] of derived) lines.set(name, value);
  return [...lines].map(([name, value]) => `${name} ${value}\n`).join('');
}

function suffixOf(labels: Partial<Record<string, string | number>>): string {
  return NAMED_LABELS.flatMap((label) => {
    const value = labels[label];
    return value === undefined ? [] : [`_${value}`];
  }).join('');
}

function isDerivedFrom(name: string): boolean {
  return DERIVED.some(([, from]) => from.some((each) => PREFIX + each === name));
}
