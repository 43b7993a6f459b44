import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';

/** Where a volume's objects are: fields of its setting, or what the user gave in their place. */
export interface StoreSpec {
  /** Driver: `file`, `s3` or `minio`, in any case. */
  readonly storage: string;
  /** With `shards` > 1 a pattern with one `%d`. */
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken: string;
  /** Number of buckets, ≥ 1. */
  readonly shards: number;
}

/** What a store needs from its surroundings. */
export interface StoreContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** What a driver is given in addition: connections at most, for GETs and for all other calls each. */
export type DriverContext = StoreContext & { readonly socketsMax: number };
