import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LOCK_END_MAX, type LockType, type RangeLock } from '../../../src/meta/file-lock.ts';
import { isConflict, mergeRanges } from '../../../src/meta/write/merge-ranges.ts';

const lock = (type: LockType, start: number, end: number, pid = 1): RangeLock => ({
  ...{ type, pid, start: BigInt(start), end: BigInt(end) },
});
const HELD = [lock('write', 0, 99), lock('read', 200, 299)];

it.each([
  [lock('write', 100, 199), [lock('write', 0, 199), lock('read', 200, 299)]],
  [lock('read', 50, 250), [lock('write', 0, 49), lock('read', 50, 299)]],
  [lock('unlock', 0, 1000), []],
  [lock('unlock', 10, 20), [lock('write', 0, 9), lock('write', 21, 99), lock('read', 200, 299)]],
])('the new lock wins where it lies over others', (added, merged) => {
  expect(mergeRanges(HELD, added)).toEqual(merged);
});

it('a lock to the end of the file covers everything', () => {
  const whole = { ...lock('write', 0, 0), end: LOCK_END_MAX };
  expect(mergeRanges(HELD, whole)).toEqual([whole]);
});

it('only two readers do not conflict', () => {
  expect(isConflict(lock('read', 0, 9), lock('read', 5, 6))).toBe(false);
  expect(isConflict(lock('read', 0, 9), lock('write', 9, 20))).toBe(true);
  expect(isConflict(lock('write', 0, 9), lock('read', 10, 20))).toBe(false);
});

it('each byte is locked as the last lock that touched it says', () => {
  const step = fc.record({
    type: fc.constantFrom<LockType>('read', 'write', 'unlock'),
    pid: fc.integer({ min: 1, max: 2 }),
    start: fc.bigInt({ min: 0n, max: 30n }),
    length: fc.bigInt({ min: 0n, max: 12n }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const bytes = new Map<bigint, string>();
      let held: RangeLock[] = [];
      for (const { type, pid, start, length } of steps) {
        const end = start + length;
        held = mergeRanges(held, { type, pid, start, end });
        for (let at = start; at <= end; at += 1n) {
          if (type === 'unlock') bytes.delete(at);
          else bytes.set(at, `${type} ${pid}`);
        }
      }
      const found = new Map<bigint, string>();
      held.forEach(({ type, pid, start, end }, index) => {
        expect(held[index - 1]?.end ?? -1n).toBeLessThan(start);
        for (let at = start; at <= end; at += 1n) found.set(at, `${type} ${pid}`);
      });
      expect(found).toEqual(bytes);
    }),
  );
});
