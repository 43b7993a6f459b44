import type { Random } from '../../runtime/random.ts';
import { LruPolicy } from './lru-policy.ts';
import { NonePolicy } from './none-policy.ts';
import type { EvictionPolicy, EvictionProbe, PolicyEntry } from './policy.ts';
import { SteadyPolicy } from './steady-policy.ts';
import { TwoRandomPolicy } from './two-random-policy.ts';

/** Values of `--cache-eviction`: JuiceFS's three, and ours, which is the default. */
export const EVICTION_NAMES = ['steady', '2-random', 'lru', 'none'] as const;

/** One of {@link EVICTION_NAMES}. */
export type EvictionName = (typeof EVICTION_NAMES)[number];

/** @returns an empty policy of that name */
export function createPolicy<E extends PolicyEntry>(
  name: EvictionName,
  probe: EvictionProbe<E>,
  random: Random,
): EvictionPolicy<E> {
  switch (name) {
    case 'steady':
      return new SteadyPolicy(probe);
    case '2-random':
      return new TwoRandomPolicy(probe, random);
    case 'lru':
      return new LruPolicy(probe);
    case 'none':
      return new NonePolicy();
  }
}
