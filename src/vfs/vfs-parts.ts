import type { BlockLoader } from '../mesh/loader.ts';
import type { MetaReader } from '../meta/engine.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { VfsOptions } from './options.ts';

/** What the file system is made of. */
export interface VfsParts {
  readonly meta: MetaReader;
  readonly loader: BlockLoader;
  readonly setting: VolumeSetting;
  readonly options: VfsOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}
