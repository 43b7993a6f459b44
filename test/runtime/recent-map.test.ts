import fc from 'fast-check';
import { LRUCache } from 'lru-cache';
import { describe, expect, it } from 'vitest';
import { RecentMap } from '../../src/runtime/recent-map.ts';

const step = fc.record({
  what: fc.constantFrom('get', 'has', 'set', 'delete'),
  key: fc.integer({ min: 0, max: 12 }),
  value: fc.integer(),
});

type Taken = Pick<RecentMap<number, number>, 'get' | 'has'> & {
  set(key: number, value: number): unknown;
  delete(key: number): unknown;
};

function take(map: Taken, what: string, key: number, value: number): unknown {
  if (what === 'get') return map.get(key);
  if (what === 'has') return map.has(key);
  if (what === 'set') map.set(key, value);
  else map.delete(key);
  return undefined;
}

describe('a map of what was used lately', () => {
  it('does what the lru-cache package does', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(step, { maxLength: 200 }),
        (max, steps) => {
          const map = new RecentMap<number, number>(max);
          const model = new LRUCache<number, number>({ max });
          for (const { what, key, value } of steps) {
            expect(take(map, what, key, value)).toBe(take(model, what, key, value));
          }
        },
      ),
    );
  });
});
