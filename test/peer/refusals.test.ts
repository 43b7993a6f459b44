import { expect, test } from 'vitest';
import { PeerError } from '../../src/peer/block-exchange.ts';
import { peerMetrics } from '../../src/peer/peer-metrics.ts';
import { Refusals } from '../../src/peer/refusals.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { recordingLogger } from '../servers/recording-logger.ts';
import { manualClock } from '../store/manual-clock.ts';

function makeRefusals() {
  const [clock, metrics, log] = [manualClock(), memoryMetrics(), recordingLogger()];
  const context = { metrics: peerMetrics(metrics), clock, logger: log.logger };
  return { refusals: new Refusals('bulk', context), clock, metrics, lines: log.lines };
}

test('a flood of strangers is counted one by one and logged once in a while', async () => {
  const { refusals, clock, metrics, lines } = makeRefusals();
  for (let round = 0; round < 100; round += 1) {
    for (let each = 0; each < 1000; each += 1) {
      refusals.stranger(new PeerError('forbidden', 'not the secret'), { address: '10.0.0.1' });
    }
    await clock.advance(100);
  }
  expect(metrics.value('remotecache_strangers', { reason: 'forbidden' })).toBe(100_000);
  // 10 s, a line in 5 s.
  expect(lines).toMatchObject([
    { level: 'warn', fields: { address: '10.0.0.1', reason: 'forbidden', leftOut: 0 } },
    { level: 'warn', fields: { leftOut: 49_999 } },
  ]);
});

test('another reason, and a limit, have lines of their own', () => {
  const { refusals, metrics, lines } = makeRefusals();
  refusals.stranger(new PeerError('unreachable', 'gone'), {});
  refusals.stranger(new Error('too slow'), {});
  refusals.limit('requests', { peer: 'one' });
  refusals.limit('requests', { peer: 'two' });
  refusals.limit('bytes', { peer: 'two' });
  expect(lines.map(({ level, fields }) => [level, fields['reason'] ?? fields['limit']])).toEqual([
    ['info', 'unreachable'],
    ['info', 'timeout'],
    ['warn', 'requests'],
    ['warn', 'bytes'],
  ]);
  const refused = (limit: string) =>
    metrics.value('remotecache_refusals', { plane: 'bulk', limit });
  expect([refused('requests'), refused('bytes')]).toEqual([2, 1]);
});
