import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toNodeId } from '../../src/block/node-id.ts';
import { LatencyEstimate } from '../../src/runtime/latency-estimate.ts';
import { DEADLINE_BOUNDS, HealthBook } from '../../src/peer/peer-health.ts';

const NODE = toNodeId('a');
const OTHER = toNodeId('b');

test('an unknown peer gets the default patience, a known one what its own latency allows', () => {
  const book = new HealthBook();
  expect(book.deadlineMs(NODE, 'sign')).toBe(DEADLINE_BOUNDS.sign.unknownMs);
  for (let n = 0; n < 50; n += 1) {
    book.observe(NODE, 'sign', 2);
    book.observe(OTHER, 'sign', n % 2 === 0 ? 200 : 600);
  }
  expect(book.deadlineMs(NODE, 'sign')).toBe(DEADLINE_BOUNDS.sign.leastMs);
  // Mean 400, deviation 200.
  expect(book.deadlineMs(OTHER, 'sign')).toBeGreaterThan(900);
  expect(book.deadlineMs(OTHER, 'sign')).toBeLessThan(1600);
  expect(book.deadlineMs(OTHER, 'block')).toBe(DEADLINE_BOUNDS.block.unknownMs);
  book.forget(OTHER);
  expect(book.deadlineMs(OTHER, 'sign')).toBe(DEADLINE_BOUNDS.sign.unknownMs);
});

test('each loss doubles the patience, one answer ends that', () => {
  const book = new HealthBook();
  for (let n = 0; n < 50; n += 1) book.observe(NODE, 'sign', 1);
  const { leastMs, mostMs } = DEADLINE_BOUNDS.sign;
  book.lose(NODE, 'sign');
  expect(book.deadlineMs(NODE, 'sign')).toBe(2 * leastMs);
  for (let n = 0; n < 20; n += 1) book.lose(NODE, 'sign');
  expect(book.deadlineMs(NODE, 'sign')).toBeLessThanOrEqual(mostMs);
  book.observe(NODE, 'sign', 1);
  expect(book.deadlineMs(NODE, 'sign')).toBe(leastMs);
});

test('quantiles are right within a fifth', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.1, max: 60_000, noNaN: true }), {
        minLength: 1,
        maxLength: 250,
      }),
      fc.constantFrom(0.5, 0.95, 0.99, 1),
      (values, quantile) => {
        const estimate = new LatencyEstimate();
        for (const value of values) estimate.observe(value);
        const sorted = values.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(quantile * values.length) - 1] as number;
        const shown = estimate.quantileMs(quantile) as number;
        expect(shown / exact).toBeGreaterThan(0.999);
        expect(shown / exact).toBeLessThan(1.21);
      },
    ),
  );
});

test('what was long ago fades', () => {
  const estimate = new LatencyEstimate();
  for (let n = 0; n < 300; n += 1) estimate.observe(500);
  for (let n = 0; n < 2000; n += 1) estimate.observe(1);
  expect(estimate.quantileMs(0.95)).toBeLessThan(1.3);
  expect(estimate.count).toBeLessThanOrEqual(256);
});

test('the state is what the membership says', () => {
  const book = new HealthBook();
  expect(book.state(NODE)).toBe('unknown');
  book.follow((node) => (node === NODE ? 'suspected' : 'up'));
  expect([book.state(NODE), book.state(OTHER)]).toEqual(['suspected', 'up']);
});
