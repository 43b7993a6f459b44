import type { BlockSink } from '../mesh/block-writer.ts';
import type { BlockLoader, CachedFiles } from '../mesh/loader.ts';
import type { ViewMaker } from '../mesh/local-views.ts';
import type { SharedCache } from '../mesh/warm/group-cache.ts';
import type { MetaReader } from '../meta/engine.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import type { MetaWriter } from '../meta/writer.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { InternalSources } from './internal/internal-files.ts';
import type { VfsOptions } from './options.ts';
import type { Compactor } from './write/compactions.ts';

/** What makes a mount one that can write. */
export interface VfsWriting {
  readonly writer: MetaWriter;
  readonly blocks: BlockSink;
  readonly compactor: Compactor;
}

/** Where the kernel may read files by itself. */
export interface PassthroughSource {
  readonly cached: CachedFiles;
  readonly viewMaker: ViewMaker;
  /** Of cache files that it may hold at once. */
  readonly bytesMax: number;
}

/** What the file system is made of. */
export interface VfsParts {
  readonly meta: MetaReader;
  readonly loader: BlockLoader;
  /** What the kernel may read by itself; undefined: nothing. */
  readonly passthrough?: PassthroughSource | undefined;
  /** The group's caches, for warming up, checking and evicting. */
  readonly cache: SharedCache;
  readonly setting: VolumeSetting;
  /** Undefined: the mount is read-only. */
  readonly writing?: VfsWriting | undefined;
  /** What the virtual files show. */
  readonly internals: InternalSources;
  readonly options: VfsOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}
