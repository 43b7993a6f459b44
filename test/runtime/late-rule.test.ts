import { expect, it } from 'vitest';
import { lateAfterMs } from '../../src/runtime/late-rule.ts';

it('an answer is late after so many times what is usual, within bounds', () => {
  const rule = { factor: 3, leastMs: 150, mostMs: 1_000 };
  expect([0, 49, 100, 400].map((usualMs) => lateAfterMs(usualMs, rule))).toEqual([
    150, 150, 300, 1_000,
  ]);
});
