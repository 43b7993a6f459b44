import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { type MemoryMetrics, memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import type { StoreContext, StoreSpec } from '../../src/store/store-spec.ts';

/** The real machine without environment, with metrics that can be read. */
export function storeContext(): StoreContext & { readonly metrics: MemoryMetrics } {
  return {
    env: {},
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: memoryMetrics(),
  };
}

/** A spec without keys in one bucket. */
export function storeSpec(storage: string, bucket: string): StoreSpec {
  return { storage, bucket, accessKey: '', secretKey: '', sessionToken: '', shards: 1 };
}
