import { createMetaEngine } from '../../src/meta/create-engine.ts';
import type { WritableEngine } from '../../src/meta/writable-engine.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics, type Metrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';

/** An engine with the machine's clock; everything can be replaced. */
export function testEngine(
  url: string,
  options: {
    readonly env?: Readonly<Record<string, string>>;
    readonly deadlineMs?: number;
    readonly wallMs?: () => number;
    readonly metrics?: Metrics;
    readonly clock?: Clock;
  } = {},
): WritableEngine {
  const { env = {}, deadlineMs = 10_000, wallMs, metrics = memoryMetrics() } = options;
  const { clock = systemClock } = options;
  return createMetaEngine(url, {
    env,
    deadlineMs,
    metrics,
    clock: wallMs === undefined ? clock : { ...clock, wallMs },
    random: systemRandom,
    logger: silentLogger,
  });
}
