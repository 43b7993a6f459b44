import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NodeId, toNodeId } from '../../src/block/node-id.ts';
import { type Leave, ServeLimits } from '../../src/peer/serve-limits.ts';

const [one, other] = ['one', 'other'].map(toNodeId) as [NodeId, NodeId];
const LIMITS = { requestsPerPeer: 3, connectionsPerPeer: 2, bytesPerPeer: 100, bytes: 150 };

describe('each limit says its name, and holds for one peer only', () => {
  test('requests', () => {
    const limits = new ServeLimits(LIMITS);
    const leaves = [1, 2, 3].map(() => limits.enterRequest(one, 1));
    expect(limits.enterRequest(one, 1)).toBe('requests');
    expect(limits.enterRequest(other, 1)).toBeTypeOf('function');
    (leaves[0] as Leave)();
    expect(limits.enterRequest(one, 1)).toBeTypeOf('function');
  });

  test('connections', () => {
    const limits = new ServeLimits(LIMITS);
    const leave = limits.enterConnection(one);
    limits.enterConnection(one);
    expect(limits.enterConnection(one)).toBe('connections');
    expect(limits.enterConnection(other)).toBeTypeOf('function');
    (leave as Leave)();
    expect(limits.enterConnection(one)).toBeTypeOf('function');
  });

  test('bytes of one peer, then of all', () => {
    const limits = new ServeLimits(LIMITS);
    const leave = limits.enterRequest(one, 60);
    expect(limits.enterRequest(one, 41)).toBe('bytes');
    expect(limits.enterRequest(one, 40)).toBeTypeOf('function');
    expect(limits.enterRequest(other, 51)).toBe('all-bytes');
    expect(limits.enterRequest(other, 50)).toBeTypeOf('function');
    expect(limits.bytes).toBe(150);
    (leave as Leave)();
    expect(limits.bytes).toBe(90);
    expect(limits.enterRequest(other, 51)).toBe('bytes');
  });

  test('a request that is larger than the limit is let in alone', () => {
    const limits = new ServeLimits(LIMITS);
    const leave = limits.enterRequest(one, 1000);
    expect(leave).toBeTypeOf('function');
    expect(limits.enterRequest(other, 1)).toBe('all-bytes');
    (leave as Leave)();
    expect(limits.enterRequest(other, 1)).toBeTypeOf('function');
  });
});

test('whatever comes and goes, the limits hold and nothing is left at the end', () => {
  const step = fc.record({ peer: fc.nat(3), bytes: fc.nat(80), leaves: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const limits = new ServeLimits(LIMITS);
      const running: { peer: number; bytes: number; leave: Leave }[] = [];
      for (const { peer, bytes, leaves } of steps) {
        if (leaves) running.shift()?.leave();
        const leave = limits.enterRequest(toNodeId(`peer ${peer}`), bytes);
        if (typeof leave !== 'string') running.push({ peer, bytes, leave });
        const own = running.filter((request) => request.peer === peer);
        const ownBytes = own.reduce((sum, request) => sum + request.bytes, 0);
        const allBytes = running.reduce((sum, request) => sum + request.bytes, 0);
        expect(own.length).toBeLessThanOrEqual(LIMITS.requestsPerPeer);
        expect(ownBytes).toBeLessThanOrEqual(LIMITS.bytesPerPeer);
        expect(allBytes).toBeLessThanOrEqual(LIMITS.bytes);
        expect(limits.bytes).toBe(allBytes);
      }
      for (const { leave } of running) leave();
      expect(limits.bytes).toBe(0);
    }),
  );
});
