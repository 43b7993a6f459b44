import { expect, test, vi } from 'vitest';
import { toNodeId } from '../../../src/block/node-id.ts';
import type { MemberRecord } from '../../../src/peer/gossip/member-record.ts';
import { MEMBERS_MAX } from '../../../src/peer/gossip/member-table.ts';
import { GossipNet, idsOf, type NetNode, seenBy } from './gossip-net.ts';

// Minutes of many members take seconds, and longer on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

/** Starts members at the same time, each listed in the metadata. */
async function started(net: GossipNet, count: number): Promise<NetNode[]> {
  const nodes = Array.from({ length: count }, (_, n) => net.add(`n${n}`, { isListed: true }));
  await net.clock.run(Promise.all(nodes.map(({ membership }) => membership.start())));
  await net.until('all know each other', () => net.isSettled(), 10_000);
  return nodes;
}

const stateOn = (node: NetNode, other: NetNode) => node.membership.stateOf(other.id);

test.each([5, 60, 150])('a join is seen by all of %i within 2 s', async (count) => {
  const net = new GossipNet({ seed: count, isEncoded: count < 100 });
  await started(net, count);
  const late = net.add('late', { isListed: true });
  const all = () => idsOf(net.live);
  const startMs = net.clock.nowMs();
  await net.clock.run(late.membership.start());
  await net.until('it is seen', () => net.live.every((node) => seenBy(node) === all()), 2_000);
  expect(net.clock.nowMs() - startMs).toBeLessThanOrEqual(2_000);
  // The number of the view, by which nothing is decided, goes round with the questions at rest.
  await net.until('all give their view the same number', () => net.isSettled(), 5_000);
});

test.each([3, 70])(
  'of %i, who falls silent while nobody reads from it is passed over by all within 5 s, and is back within 5 s',
  async (count) => {
    const net = new GossipNet({ seed: 5 * count, isEncoded: false });
    const nodes = await started(net, count);
    for (const silent of nodes.slice(0, 4)) {
      silent.mood = 'paused';
      const others = nodes.filter((node) => node !== silent);
      const isOver = () => others.every((node) => stateOn(node, silent) === 'suspected');
      expect(await net.until('all have passed it over', isOver, 10_000)).toBeLessThanOrEqual(5_000);
      silent.mood = 'well';
      const isBack = () => nodes.every((node) => seenBy(node) === idsOf(nodes));
      expect(await net.until('all have it back', isBack, 10_000)).toBeLessThanOrEqual(5_000);
    }
  },
);

test.each([
  ['crashed', 3],
  ['crashed', 150],
  ['paused', 3],
  ['paused', 150],
] as const)(
  'all know that a member has %s within 1 s of a failed request, of %i',
  async (mood, count) => {
    const net = new GossipNet({ seed: 7 * count, isEncoded: count < 100 });
    const nodes = await started(net, count);
    const gone = nodes[1] as NetNode;
    if (mood === 'crashed') net.crash(gone);
    else gone.mood = 'paused';
    const others = nodes.filter((node) => node !== gone);
    (nodes[0] as NetNode).membership.reportFailure(gone.id);
    // Who failed goes without it at once.
    expect(stateOn(nodes[0] as NetNode, gone)).toBe('suspected');
    const everywhere = () => others.every((node) => stateOn(node, gone) === 'suspected');
    await net.until('all know', everywhere, 1_000);
    expect(others.every((node) => stateOn(node, others[0] as NetNode) === 'up')).toBe(true);
  },
);

test('a member that was paused is back with all within 5 s, and knows since when', async () => {
  const net = new GossipNet({ seed: 11 });
  const nodes = await started(net, 20);
  const paused = nodes[4] as NetNode;
  paused.mood = 'paused';
  (nodes[0] as NetNode).membership.reportFailure(paused.id);
  await net.clock.pass(10_000);
  expect(nodes.filter((node) => node !== paused && stateOn(node, paused) !== 'suspected')).toEqual(
    [],
  );
  paused.mood = 'well';
  const resumedMs = net.clock.nowMs();
  await net.until('it is back', () => net.isSettled(), 5_000);
  expect(paused.metrics.value('remotecache_objections')).toBeGreaterThan(0);
  expect(paused.membership.current().joinedMs).toBeGreaterThanOrEqual(resumedMs);
});

test.each([
  ['a day behind', 30, () => -86_400_000],
  ['set back to when its predecessor began', 30, (aliveMs: number) => -aliveMs],
  ['set back to when its predecessor began', 10, (aliveMs: number) => -aliveMs],
] as const)(
  'a process that was started again replaces its predecessor, its clock %s, with weight %i',
  async (_, weight, skewMs) => {
    const net = new GossipNet({ seed: 12 });
    const beginMs = net.clock.nowMs();
    const nodes = await started(net, 10);
    net.crash(nodes[3] as NetNode);
    const aliveMs = net.clock.nowMs() - beginMs;
    const again = net.add('n3', { isListed: true, skewMs: skewMs(aliveMs) });
    again.weight = weight;
    await net.clock.run(again.membership.start());
    await net.until('it is there', () => net.isSettled(), 5_000);
    for (const { membership } of net.live) {
      const member = membership.current().members.find(({ nodeId }) => nodeId === again.id);
      expect(member?.weight).toBe(weight);
    }
  },
);

test('connections to where a member was do not keep it out when it is back elsewhere', async () => {
  const net = new GossipNet({ seed: 29 });
  const nodes = await started(net, 20);
  // A lost machine closes no connection.
  net.crash(nodes[3] as NetNode);
  const back = net.add('n3', { isListed: true });
  for (const { id } of nodes) net.deadConnections.add(`${id}>${back.id}`);
  await net.clock.run(back.membership.start());
  await net.clock.pass(60_000);
  const without = net.live.filter((node) => node !== back && stateOn(node, back) !== 'up');
  expect(without.map(({ id }) => id)).toEqual([]);
});

test('whom one member alone cannot reach stays with the others, and is passed over by that one', async () => {
  const net = new GossipNet({ seed: 13 });
  const nodes = await started(net, 8);
  const [one, other] = nodes as [NetNode, NetNode];
  net.passes = (from, to) =>
    !(from === one.id && to === other.id) && !(from === other.id && to === one.id);
  one.membership.reportFailure(other.id);
  await net.clock.pass(20_000);
  expect(stateOn(one, other)).toBe('suspected');
  for (const node of nodes.slice(2)) {
    expect([stateOn(node, one), stateOn(node, other)]).toEqual(['up', 'up']);
  }
  net.passes = () => true;
  await net.until('all are well', () => stateOn(one, other) === 'up', 10_000);
});

test('a member that is cut off believes nobody dead at once, and all find each other when it is over', async () => {
  const net = new GossipNet({ seed: 14 });
  const nodes = await started(net, 12);
  const cut = nodes[5] as NetNode;
  net.passes = (from, to) => from !== cut.id && to !== cut.id;
  await net.clock.pass(60_000);
  const others = nodes.filter((node) => node !== cut);
  expect(others.every((node) => stateOn(node, cut) === 'unknown')).toBe(true);
  net.passes = () => true;
  await net.until('it is back', () => net.isSettled(), 10_000);
});

test('two that fail each other again while they are still being looked into find each other again', async () => {
  const net = new GossipNet({ seed: 41 });
  const [one, other, helper] = (await started(net, 3)) as [NetNode, NetNode, NetNode];
  const failEachOther = () => {
    one.membership.reportFailure(other.id);
    other.membership.reportFailure(one.id);
  };
  const areUp = () => stateOn(one, other) === 'up' && stateOn(other, one) === 'up';
  // The helper's words arrive late, so both look into it for longer than they doubt.
  net.passes = (from) => from !== helper.id;
  failEachOther();
  await net.until('each has heard the other', areUp, 200);
  failEachOther();
  await net.clock.pass(100);
  net.passes = () => true;
  const tookMs = await net.until('each has heard the other again', areUp, 5_000);
  expect(tookMs).toBeLessThan(5_000);
});

test('who stops and starts again counts on those whom it passed over before', async () => {
  const net = new GossipNet({ seed: 43 });
  const [node, other] = (await started(net, 3)) as [NetNode, NetNode];
  net.passes = (from, to) => from !== other.id || to !== node.id;
  node.membership.reportFailure(other.id);
  await net.clock.run(node.membership.stop());
  net.passes = () => true;
  expect(seenBy(node)).not.toContain(other.id);
  await net.clock.run(node.membership.start());
  await net.until('all know each other', () => net.isSettled(), 5_000);
});

test('two halves that were cut for minutes become one group again', async () => {
  const net = new GossipNet({ seed: 15 });
  const nodes = await started(net, 30);
  const half = (id: string) => Number(id.slice(1)) % 2;
  net.passes = (from, to) => half(from) === half(to);
  await net.clock.pass(150_000);
  for (const node of nodes) {
    expect(seenBy(node)).toBe(idsOf(nodes.filter(({ id }) => half(id) === half(node.id))));
  }
  net.passes = () => true;
  await net.until('they are one', () => net.isSettled(), 10_000);
});

test('groups that have never met find each other by the metadata, which the whole group asks once an interval', async () => {
  const net = new GossipNet({ seed: 16 });
  const half = (id: string) => Number(id.slice(1)) % 2;
  net.passes = (from, to) => half(from) === half(to);
  const nodes = Array.from({ length: 16 }, (_, n) => net.add(`n${n}`, { isListed: true }));
  for (const { membership } of nodes) void membership.start();
  // Longer than what is gone is remembered: nothing but the metadata knows of the other half.
  await net.clock.pass(800_000);
  net.passes = () => true;
  await net.until('they are one', () => net.isSettled(), 60_000);
  const before = net.listings;
  await net.clock.pass(600_000);
  const perInterval = (net.listings - before) / (600_000 / 12_000);
  expect(perInterval).toBeGreaterThan(0.5);
  expect(perInterval).toBeLessThan(2);
});

test('a changed weight and a goodbye are known to all within a second', async () => {
  const net = new GossipNet({ seed: 17 });
  const nodes = await started(net, 40);
  const changed = nodes[9] as NetNode;
  changed.weight = 0;
  changed.membership.announce();
  const weightOn = (node: NetNode) =>
    node.membership.current().members.find(({ nodeId }) => nodeId === changed.id)?.weight;
  await net.until('all know', () => nodes.every((node) => weightOn(node) === 0), 1_000);
  const left = nodes[20] as NetNode;
  await net.clock.run(left.membership.stop());
  left.mood = 'crashed';
  await net.until('all know', () => net.isSettled(), 1_000);
  expect(nodes.every((node) => node === left || stateOn(node, left) === 'unknown')).toBe(true);
});

test('what a member costs at rest does not grow with the group', async () => {
  const rates: number[] = [];
  for (const count of [10, 100]) {
    const net = new GossipNet({ seed: 18 });
    const nodes = await started(net, count);
    await net.clock.pass(30_000);
    for (const node of nodes) node.sentBytes = 0;
    await net.clock.pass(60_000);
    rates.push(nodes.reduce((sum, { sentBytes }) => sum + sentBytes, 0) / count / 60);
  }
  const [few = 0, many = 0] = rates;
  expect(many / few).toBeLessThan(1.1);
  // Two questions and two answers a second; the promise is 50 KB/s for 4,000.
  expect(many).toBeLessThan(1_000);
});

test('a node takes itself for gone neither when it is cut off nor when it is told so', async () => {
  const net = new GossipNet({ seed: 37 });
  const [node, ...others] = await started(net, 3);
  net.passes = (from) => from !== node?.id;
  for (const { id } of [node as NetNode, ...others]) node?.membership.reportFailure(id);
  await net.clock.pass(20_000);
  expect(node?.membership.stateOf(node.id)).toBe('up');
  net.passes = () => true;
  await net.until('all know each other', () => net.isSettled(), 10_000);
});

test('members beyond the bound are left out, which is counted', async () => {
  const net = new GossipNet({ seed: 31 });
  const [node] = await started(net, 1);
  const { handler } = net.places.get((node as NetNode).id) ?? {};
  const recordOf = (name: string): MemberRecord => {
    const member = { nodeId: toNodeId(name), addresses: ['/ip4/10.0.0.1/tcp/1'], weight: 1 };
    return { member, incarnation: 1, state: 'alive' };
  };
  const from = recordOf('someone');
  const message = { self: from, hash: { low: 0, high: 0 }, epoch: 1, wants: undefined, covers: [] };
  const records = Array.from({ length: MEMBERS_MAX + 10 }, (_, n) => recordOf(`m${n}`));
  handler?.hear(from.member.nodeId, { ...message, records });
  expect(node?.membership.roster()).toHaveLength(MEMBERS_MAX);
  // Two had their places before: the node itself, and who told of the others.
  expect(node?.metrics.value('remotecache_members_left_out')).toBe(12);
});
