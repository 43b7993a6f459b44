import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SharedTable } from '../../src/runtime/shared-table.ts';

test('finds what a map of the same writes has, or is unsure once it was full', () => {
  const command = fc.record({
    key: fc.integer({ min: 1, max: 60 }),
    value: fc.option(fc.integer(), { nil: undefined }),
  });
  const outcome = fc.check(
    fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
      const writer = SharedTable.create({ keyWords: 2, valueWords: 2, capacity: 16 });
      const reader = SharedTable.attach(writer.shared);
      const model = new Map<number, number>();
      for (const { key, value } of commands) {
        if (value === undefined) {
          writer.remove(Int32Array.of(key, -key));
          model.delete(key);
        } else {
          writer.set(Int32Array.of(key, -key), Int32Array.of(value, key));
          model.set(key, value);
        }
      }
      const found = new Int32Array(2);
      for (let key = 1; key <= 60; key += 1) {
        const result = reader.find(Int32Array.of(key, -key), found);
        const value = model.get(key);
        if (result === 'found' && (found[0] !== value || found[1] !== key)) return false;
        if (result === 'absent' && value !== undefined) return false;
      }
      return true;
    }),
  );
  expect(outcome.counterexample).toBeNull();
});

test('a displaced key is not taken for one that was never there', () => {
  const table = SharedTable.create({ keyWords: 2, valueWords: 1, capacity: 8 });
  for (let key = 1; key <= 9; key += 1) table.set(Int32Array.of(key, 0), Int32Array.of(key));
  const results = Array.from({ length: 12 }, (_, at) =>
    table.find(Int32Array.of(at + 1, 0), new Int32Array(1)),
  );
  expect(results.filter((result) => result === 'found')).toHaveLength(8);
  expect(results).not.toContain('absent');
});

test('a key of zeros is never there, although free entries have one', () => {
  const table = SharedTable.create({ keyWords: 2, valueWords: 1, capacity: 8 });
  table.set(Int32Array.of(1, 2), Int32Array.of(3));
  table.remove(Int32Array.of(1, 2));
  table.set(Int32Array.of(0, 0), Int32Array.of(4));
  expect(table.find(Int32Array.of(0, 0), new Int32Array(1))).toBe('absent');
});
