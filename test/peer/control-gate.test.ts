import type { Connection } from '@libp2p/interface';
import { expect, test } from 'vitest';
import { toNodeId } from '../../src/block/node-id.ts';
import { ControlGate } from '../../src/peer/control-gate.ts';
import { HEADER_BYTES_MAX } from '../../src/peer/frame-codec.ts';
import { peerMetrics } from '../../src/peer/peer-metrics.ts';
import { Refusals } from '../../src/peer/refusals.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { manualClock } from '../store/manual-clock.ts';

const LIMITS = {
  requestsPerPeer: 5,
  connectionsPerPeer: 2,
  strangers: 3,
  bytesPerPeer: 4 * HEADER_BYTES_MAX,
  bytes: 6 * HEADER_BYTES_MAX,
};
const metrics = memoryMetrics();

function makeGate() {
  const context = { metrics: peerMetrics(metrics), clock: manualClock(), logger: silentLogger };
  return new ControlGate(new Refusals('control', context), LIMITS);
}

let connections = 0;

/** A connection of libp2p as far as the gate sees it. */
function connectionOf(peer: string, address = '10.0.0.1', direction = 'inbound') {
  const state = { aborted: false };
  const connection = {
    ...{ id: String((connections += 1)), direction, remotePeer: peer },
    remoteAddr: `/ip4/${address}/tcp/1`,
    abort: () => {
      state.aborted = true;
    },
  };
  return { connection: connection as unknown as Connection, state };
}

function openIn(gate: ControlGate, ...from: Parameters<typeof connectionOf>) {
  const made = connectionOf(...from);
  gate.opened(made.connection);
  return made;
}

test('a peer has so many connections, and closed ones make room', () => {
  const gate = makeGate();
  const [first, second, third] = [1, 2, 3].map(() => openIn(gate, 'one'));
  expect([first, second, third].map((each) => each?.state.aborted)).toEqual([false, false, true]);
  // libp2p tells of the end of those, too, that were never counted.
  gate.closed(third?.connection as Connection);
  expect(openIn(gate, 'one').state.aborted).toBe(true);
  expect(openIn(gate, 'other').state.aborted).toBe(false);
  gate.closed(first?.connection as Connection);
  expect(openIn(gate, 'one').state.aborted).toBe(false);
});

test('connections that we have opened ourselves are not counted', () => {
  const gate = makeGate();
  const own = Array.from({ length: 9 }, () => openIn(gate, 'one', '10.0.0.1', 'outbound'));
  expect(own.some(({ state }) => state.aborted)).toBe(false);
  expect(openIn(gate, 'one').state.aborted).toBe(false);
});

test('of those without a proof the oldest of the busiest address goes, members stay', () => {
  const gate = makeGate();
  const member = openIn(gate, 'member', '10.0.0.9');
  gate.proved(member.connection);
  const crowd = ['a', 'b', 'c', 'd', 'e'].map((peer) => openIn(gate, peer, '10.0.0.9'));
  expect(crowd.map(({ state }) => state.aborted)).toEqual([true, true, false, false, false]);
  expect(member.state.aborted).toBe(false);
});

test('a request takes the room of the longest message', () => {
  const gate = makeGate();
  const [one, other] = [toNodeId('one'), toNodeId('other')];
  const leaves = Array.from({ length: 4 }, () => gate.enterRequest(one));
  expect(gate.enterRequest(one)).toBe('bytes');
  gate.enterRequest(other);
  gate.enterRequest(other);
  expect(gate.enterRequest(other)).toBe('all-bytes');
  for (const leave of leaves) if (typeof leave !== 'string') leave();
  expect(gate.enterRequest(other)).toBeTypeOf('function');
});
