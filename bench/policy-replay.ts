/**
 * Replays made-up traces against eviction policies and prints hit ratios as a Markdown table:
 * `npm run policy-replay`. Everything comes from fixed seeds, so two runs print the same.
 */
import type { Random } from '../src/runtime/random.ts';
import type { ReplayCache } from './policies/replay-cache.ts';
import { lruCache, productCache } from './policies/replay-cache.ts';
import { s3FifoCache } from './policies/s3-fifo.ts';
import { seededRandom } from './policies/seeded-random.ts';
import { sieveCache } from './policies/sieve.ts';
import type { Trace } from './policies/traces.ts';
import {
  changedDataset,
  databaseEpochs,
  scanBesideHotSet,
  sequentialLoop,
  shuffledEpochs,
  zipfOnly,
} from './policies/traces.ts';

const CACHE_SHARES = [0.1, 0.25, 0.5, 0.9];

const TRACES: readonly Trace[] = [
  databaseEpochs(10),
  shuffledEpochs(10),
  scanBesideHotSet(400_000),
  sequentialLoop(10),
  changedDataset(8),
  zipfOnly(400_000),
];

const POLICIES: Readonly<Record<string, (capacity: number) => ReplayCache>> = {
  LRU: lruCache,
  '2-random': (capacity) => productCache('2-random', capacity, drawing(1)),
  SIEVE: (capacity) => sieveCache(capacity, false),
  'SIEVE, pieces': (capacity) => sieveCache(capacity, true),
  'S3-FIFO': (capacity) => s3FifoCache(capacity, false),
  steady: (capacity) => productCache('steady', capacity, drawing(1)),
};

function drawing(seed: number): Random {
  const draw = seededRandom(seed);
  return {
    below: (limit) => Math.floor(draw() * limit),
    bytes: (length) => Uint8Array.from({ length }, () => draw() * 256),
  };
}

function hitRatio(trace: Trace, cache: ReplayCache): number {
  let uses = 0;
  let hits = 0;
  for (const item of trace.uses()) {
    const hit = cache.use(item);
    uses += 1;
    if (hit && uses > trace.warmUp) hits += 1;
  }
  return hits / (uses - trace.warmUp);
}

const names = Object.keys(POLICIES);
console.log(`| trace | cache | ${names.join(' | ')} |`);
console.log(`|---|---|${names.map(() => '--:').join('|')}|`);
for (const trace of TRACES) {
  for (const share of CACHE_SHARES) {
    const capacity = Math.round(trace.items * share);
    const ratios = Object.values(POLICIES).map((make) => hitRatio(trace, make(capacity)));
    const best = Math.max(...ratios);
    const cells = ratios.map((ratio) => {
      const text = (ratio * 100).toFixed(1);
      return ratio > best - 0.005 ? `**${text}**` : text;
    });
    console.log(`| ${trace.name} | ${share * 100} % | ${cells.join(' | ')} |`);
  }
}
