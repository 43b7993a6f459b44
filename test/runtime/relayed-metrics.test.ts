import { expect, test } from 'vitest';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { applyCounted, RelayedMetrics } from '../../src/runtime/relayed-metrics.ts';

/** A clock whose timers fire when the test says so. */
function manualClock() {
  const timers = new Set<() => void>();
  return {
    nowMs: () => 0,
    wallMs: () => 0,
    setTimer: (_: number, run: () => void) => {
      timers.add(run);
      return { cancel: () => void timers.delete(run) };
    },
    fire: () => {
      for (const run of [...timers]) {
        timers.delete(run);
        run();
      }
    },
    timers,
  };
}

test('what two threads count adds up, once each, and nothing is sent when nothing happens', () => {
  const clock = manualClock();
  const metrics = memoryMetrics();
  let batches = 0;
  const send = (batch: Parameters<typeof applyCounted>[1]) => {
    batches += 1;
    applyCounted(metrics, structuredClone(batch));
  };
  const threads = [new RelayedMetrics(clock, send), new RelayedMetrics(clock, send)];
  for (const [index, thread] of threads.entries()) {
    const counter = thread.counter({ name: 'c', help: '', labels: { reason: 'x' } });
    const gauge = thread.gauge({ name: 'g', help: '' });
    const histogram = thread.histogram({ name: 'h', help: '', buckets: [1, 2] });
    for (let round = 0; round < 2; round += 1) {
      counter.add();
      counter.add(10 + index);
      gauge.set(5 + index);
      gauge.set(3);
      gauge.add(-1);
      histogram.observe(1.5, 2);
      clock.fire();
    }
  }
  expect(batches).toBe(4);
  clock.fire();
  expect(clock.timers.size).toBe(0);
  expect(batches).toBe(4);
  expect(metrics.value('c', { reason: 'x' })).toBe(2 * 11 + 2 * 12);
  expect(metrics.value('g')).toBe(4);
  expect(metrics.value('h')).toBe(8);
});
