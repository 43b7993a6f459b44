import type { Connection } from '@libp2p/interface';
import { expect, test } from 'vitest';
import { idleConnections } from '../../src/peer/idle-connections.ts';
import { manualClock } from '../store/manual-clock.ts';

function connection(id: number, openedMs: number, streams = 0): Connection {
  const shown = { id: String(id), streams: Array.from({ length: streams }, () => ({})) };
  // Only what is looked at.
  return { ...shown, timeline: { open: openedMs } } as unknown as Connection;
}

test('beyond the bound the oldest that nobody uses go, and young ones stay', async () => {
  const clock = manualClock();
  await clock.advance(100_000);
  const used = connection(0, 0, 1);
  const old = Array.from({ length: 60 }, (_, n) => connection(n + 1, 60 - n));
  const young = connection(100, 95_000);
  const all = [used, ...old, young];
  expect(idleConnections(all, all.length, clock)).toEqual([]);
  const closed = idleConnections(all, all.length - 2, clock).map(({ id }) => Number(id));
  expect(closed).toHaveLength(2 + 32);
  expect(closed.slice(0, 3)).toEqual([60, 59, 58]);
  expect(idleConnections(all, 1, clock)).toHaveLength(60);
});
