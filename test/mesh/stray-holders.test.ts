import { expect, test } from 'vitest';
import type { NodeId } from '../../src/block/node-id.ts';
import { toNodeId } from '../../src/block/node-id.ts';
import { LoadMetrics } from '../../src/mesh/load-metrics.ts';
import { StrayHolders } from '../../src/mesh/stray-holders.ts';
import { PeerError } from '../../src/peer/block-exchange.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';

const KEY = { sliceId: 7n, index: 0, sizeBytes: 10 };
const { signal } = new AbortController();

function setUp(count: number, holder: number | undefined) {
  const nodes = Array.from({ length: count }, (_, at) => toNodeId(`node-${at}`));
  const asked: NodeId[] = [];
  const holds = async (node: NodeId) => {
    asked.push(node);
    if (nodes.indexOf(node) === 0) throw new PeerError('failed', 'it fails');
    return [nodes.indexOf(node) === holder ? ('disk' as const) : undefined];
  };
  const surroundings = { clock: systemClock, logger: silentLogger };
  const metrics = new LoadMetrics(memoryMetrics());
  const parts = { client: { holds }, others: () => nodes, metrics, ...surroundings };
  return { strays: new StrayHolders(parts), asked };
}

test('all are asked, whoever fails; what nobody had is not asked for again at once', async () => {
  expect(await setUp(5, 3).strays.find(KEY, signal)).toBe('node-3');
  const { strays, asked } = setUp(5, undefined);
  expect(await strays.find(KEY, signal)).toBeUndefined();
  expect(await strays.find(KEY, signal)).toBeUndefined();
  expect(asked).toHaveLength(5);
});

test('large groups are not asked, nor for more than a few blocks at once', async () => {
  const large = setUp(33, 3);
  expect(await large.strays.find(KEY, signal)).toBeUndefined();
  const { strays, asked } = setUp(2, 1);
  const keys = Array.from({ length: 40 }, (_, index) => ({ ...KEY, index }));
  const found = await Promise.all(keys.map((key) => strays.find(key, signal)));
  expect(found.filter((node) => node !== undefined)).toHaveLength(16);
  expect([large.asked.length, asked.length]).toEqual([0, 32]);
});
