import { expect, test } from 'vitest';
import { LogThrottle } from '../../src/runtime/log-throttle.ts';
import { manualClock } from '../store/manual-clock.ts';

test('one line of each kind passes in a while, with how many did not', async () => {
  const clock = manualClock();
  const throttle = new LogThrottle(clock, 1000);
  expect(throttle.admit('a')).toBe(0);
  expect([throttle.admit('a'), throttle.admit('a')]).toEqual([undefined, undefined]);
  expect(throttle.admit('b')).toBe(0);
  await clock.advance(999);
  expect(throttle.admit('a')).toBeUndefined();
  await clock.advance(1);
  expect(throttle.admit('a')).toBe(3);
  expect(throttle.admit('a')).toBeUndefined();
  await clock.advance(1000);
  expect(throttle.admit('a')).toBe(1);
  expect(throttle.admit('b')).toBe(0);
});

test('kinds without end are kept as one', () => {
  const throttle = new LogThrottle(manualClock(), 1000);
  const lines = Array.from({ length: 1000 }, (_, kind) => throttle.admit(`kind ${kind}`));
  expect(lines.filter((leftOut) => leftOut !== undefined).length).toBe(65);
});
