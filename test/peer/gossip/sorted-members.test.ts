import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type NodeId, toNodeId } from '../../../src/block/node-id.ts';
import {
  followerOf,
  type SortedMembers,
  withChanges,
} from '../../../src/peer/gossip/sorted-members.ts';
import type { Member } from '../../../src/peer/block-exchange.ts';

const name = fc.string({ minLength: 1, maxLength: 2 }).map(toNodeId);
const member: fc.Arbitrary<Member> = fc.record({
  nodeId: name,
  addresses: fc.constant([]),
  weight: fc.nat(3),
});
const changes = fc
  .array(fc.record({ node: name, member: fc.option(member, { nil: undefined }) }), {
    maxLength: 12,
  })
  .map((list) => {
    return new Map(list.map((each) => [each.member?.nodeId ?? each.node, each.member] as const));
  });

/** As a map does it, which is sorted each time. */
function plainly(known: Map<NodeId, Member>): Member[] {
  return [...known.values()].sort((one, other) => (one.nodeId < other.nodeId ? -1 : 1));
}

test('changes of a list give what sorting all anew gives, and the same list when there are none', () => {
  fc.assert(
    fc.property(fc.array(changes, { maxLength: 5 }), (steps) => {
      const known = new Map<NodeId, Member>();
      let members: SortedMembers = [];
      for (const step of steps) {
        const before = members;
        const copy = [...before];
        members = withChanges(before, step);
        for (const [node, to] of step) {
          if (to === undefined) known.delete(node);
          else known.set(node, to);
        }
        expect(members).toEqual(plainly(known));
        // Whoever holds a list keeps what it was.
        expect(before).toEqual(copy);
        expect(withChanges(members, new Map(step))).toBe(members);
      }
    }),
  );
});

test('who follows one after the other comes round and has met each once', () => {
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 20 }), (nodes) => {
      const all = new Map(nodes.map((nodeId) => [nodeId, { nodeId, addresses: [], weight: 1 }]));
      const members = withChanges([], all);
      const [first] = nodes as [NodeId];
      const met = new Set([first]);
      let next = followerOf(members, first);
      while (next !== undefined && !met.has(next)) {
        met.add(next);
        next = followerOf(members, next);
      }
      expect(met.size).toBe(nodes.length);
      expect(next).toBe(nodes.length === 1 ? undefined : first);
    }),
  );
});
