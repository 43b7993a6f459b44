import type { Counter, Gauge, Metrics } from '../../runtime/metrics.ts';

/** Why a view ended: one of its blocks went, its file changed, others needed its place, or the daemon stops. */
export type ViewEnd = 'block' | 'changed' | 'place' | 'stop';

/** What views do. */
export interface ViewMetrics {
  readonly views: Gauge;
  readonly bytes: Gauge;
  readonly heldBytes: Gauge;
  readonly keptBytes: Gauge;
  readonly made: Counter;
  readonly clonedBytes: Counter;
  ended(why: ViewEnd): void;
}

/** @returns the metrics of the views of a tier */
export function viewMetrics(metrics: Metrics): ViewMetrics {
  const gauge = (name: string, help: string) => metrics.gauge({ name: `blockcache_${name}`, help });
  const counter = (name: string, help: string, labels = {}) =>
    metrics.counter({ name: `blockcache_${name}`, help, labels });
  return {
    views: gauge('views', 'Files that were put together from cached blocks without copying'),
    bytes: gauge('view_bytes', 'Length of these files; they share the room of the blocks'),
    heldBytes: gauge(
      'view_held_bytes',
      'Room of blocks that the kernel reads by itself in such files: they are not evicted',
    ),
    keptBytes: gauge('view_kept_bytes', 'Room of dropped blocks that is taken as long as it does'),
    made: counter('views_made', 'Views that were made'),
    clonedBytes: counter('view_cloned_bytes', 'Bytes of blocks that views were made of'),
    ended: (why) => counter('views_ended', 'Views that ended, by why', { why }).add(),
  };
}
