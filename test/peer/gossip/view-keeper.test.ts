import { expect, test } from 'vitest';
import { toNodeId } from '../../../src/block/node-id.ts';
import {
  encodeGossip,
  type GossipMessage,
  parseGossip,
} from '../../../src/peer/gossip/gossip-message.ts';
import type { MemberRecord } from '../../../src/peer/gossip/member-record.ts';
import { MemberTable } from '../../../src/peer/gossip/member-table.ts';
import { ViewKeeper } from '../../../src/peer/gossip/view-keeper.ts';

function recordOf(name: string): MemberRecord {
  const member = { nodeId: toNodeId(name), addresses: ['/ip4/10.0.0.1/tcp/1'], weight: 1 };
  return { member, incarnation: 1, state: 'alive' };
}

test('whatever number somebody gives his view, this node counts on and is understood', () => {
  const table = new MemberTable();
  table.apply(recordOf('self'));
  const keeper = new ViewKeeper({ self: toNodeId('self'), table, isDoubted: () => false });
  for (const name of ['one', 'two', 'three']) {
    // The highest that a message may carry.
    keeper.heardEpoch(2 ** 52, true);
    const before = keeper.view.epoch;
    table.apply(recordOf(name));
    keeper.refresh([toNodeId(name)]);
    expect(keeper.view.epoch).toBeGreaterThan(before);
  }
  const message: GossipMessage = {
    self: recordOf('self'),
    records: [],
    hash: table.hash,
    epoch: keeper.view.epoch,
    wants: undefined,
    covers: [],
  };
  expect(parseGossip(encodeGossip(message)).epoch).toBe(keeper.view.epoch);
});
