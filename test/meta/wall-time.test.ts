import { expect, it } from 'vitest';
import { WallTime } from '../../src/meta/wall-time.ts';
import { systemClock } from '../../src/runtime/clock.ts';

function clockAt(times: readonly (readonly [wallMs: number, nowMs: number])[]) {
  let at = 0;
  const time = () => times[Math.min(at, times.length - 1)] ?? [0, 0];
  const clock = { ...systemClock, wallMs: () => time()[0], nowMs: () => time()[1] };
  const wallTime = new WallTime(clock);
  return () => {
    const { seconds, nanoseconds } = wallTime.now();
    at += 1;
    return `${seconds}.${nanoseconds}`;
  };
}

it('is the wall clock with a fraction of a millisecond', () => {
  const now = clockAt([[1_700_000_000_123, 5.25]]);
  expect(now()).toBe('1700000000.123250000');
});

it('no two times are the same', () => {
  const now = clockAt([
    [1000, 7.5],
    [1000, 7.5],
    [1000, 8.25],
    [1001, 9],
  ]);
  expect([now(), now(), now(), now()]).toEqual(['1.500000', '1.500001', '1.500002', '1.1000000']);
});

it('believes a clock that was set back', () => {
  const now = clockAt([
    [5000, 1],
    [2000, 2],
  ]);
  expect([now(), now()]).toEqual(['5.0', '2.0']);
});
