import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IdSet } from '../../src/runtime/id-set.ts';

test('has what was added, whatever it is', () => {
  const ids = fc.array(
    fc.oneof(
      fc.bigInt({ min: 1n, max: 40n }),
      fc.bigInt({ min: 1n, max: 20n }).map((id) => id << 32n),
      fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    ),
    { maxLength: 300 },
  );
  fc.assert(
    fc.property(ids, (all) => {
      const [set, model] = [new IdSet(), new Set<bigint>()];
      for (const id of all) {
        expect(set.add(id)).toBe(!model.has(id));
        model.add(id);
      }
      expect(set.size).toBe(model.size);
    }),
  );
});

test('grows, and still knows all', () => {
  const set = new IdSet();
  const ids = Array.from({ length: 50_000 }, (_, number) => BigInt(number + 1) * 4096n);
  expect(ids.every((id) => set.add(id))).toBe(true);
  expect(ids.some((id) => set.add(id))).toBe(false);
  expect(set.size).toBe(ids.length);
  expect(() => set.add(0n)).toThrow('64 bits');
});
