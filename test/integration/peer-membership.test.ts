import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Member } from '../../src/peer/block-exchange.ts';
import type { JoinOptions } from '../../src/peer/mesh-peer-host.ts';
import type { GroupMembership } from '../../src/peer/membership.ts';
import { startChildPeer } from '../peer/child-peer.ts';
import { allBlocks, makeHost, type TestHost } from '../peer/test-hosts.ts';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';

interface Node extends TestHost {
  readonly membership: GroupMembership;
}

/** What the nodes of a group find in the metadata. */
let sessions: Member[];
let nodes: Node[];
let cleanUps: (() => Promise<void>)[];
const discovery = { list: async () => sessions };

beforeEach(() => {
  sessions = [];
  nodes = [];
  cleanUps = [];
});
afterEach(async () => {
  await Promise.all(nodes.map(({ host }) => host.stop()));
  for (const cleanUp of cleanUps) await cleanUp();
});

async function startNode(
  join: JoinOptions,
  options: Parameters<typeof makeHost>[1] = {},
): Promise<Node> {
  const made = await makeHost(allBlocks(), options);
  await made.host.start();
  const node = { ...made, membership: made.host.membership(join) };
  nodes.push(node);
  await node.membership.start();
  return node;
}

function idsOf(...some: { readonly host: { readonly nodeId: string } }[]): string {
  return some
    .map(({ host }) => host.nodeId)
    .toSorted()
    .join();
}

function viewOf(node: Node): string {
  const ids = node.membership.current().members.map(({ nodeId }) => nodeId as string);
  return ids.toSorted().join();
}

const enlist = ({ host }: TestHost) =>
  void sessions.push({ nodeId: host.nodeId, addresses: host.addresses, weight: 100 });

describe('found by discovery', () => {
  test('three nodes know each other as soon as the last one has started', async () => {
    const group: Node[] = [];
    for (let count = 0; count < 3; count += 1) {
      // An interval so long that no second round can help.
      const node = await startNode({ discovery, intervalMs: 3_600_000 });
      enlist(node);
      group.push(node);
    }
    await waitUntil('all know each other', () =>
      group.every((node) => viewOf(node) === idsOf(...group)),
    );
    for (const node of group) {
      expect(node.metrics.value('remotecache_members')).toBe(3);
    }
  });

  test('one that is not there stays out, and a discovery that fails breaks nobody up', async () => {
    let fails = false;
    const flaky = {
      list: async () => {
        if (fails) throw new Error('the database is gone');
        return sessions;
      },
    };
    const first = await startNode({});
    enlist(first);
    const dead = await makeHost(allBlocks());
    sessions.push({ nodeId: dead.host.nodeId, addresses: ['/ip4/127.0.0.1/tcp/1'], weight: 100 });
    const second = await startNode({ discovery: flaky, intervalMs: 50 });
    expect(viewOf(second)).toBe(idsOf(first, second));
    fails = true;
    const failures = () => second.metrics.value('remotecache_discovery_errors');
    await waitUntil('three rounds have failed', () => failures() >= 3);
    expect(viewOf(second)).toBe(idsOf(first, second));
  });

  test('a member without a session stays while it answers', async () => {
    const first = await startNode({});
    enlist(first);
    let rounds = 0;
    const counted = {
      list: async () => {
        rounds += 1;
        return sessions;
      },
    };
    const second = await startNode({ discovery: counted, intervalMs: 50 });
    sessions = [];
    await waitUntil('three more rounds', () => rounds > 4);
    expect(viewOf(second)).toBe(idsOf(first, second));
  });
});

describe('found by address', () => {
  test('a node learns the others from the one it joins', async () => {
    const first = await startNode({});
    const second = await startNode({ peers: [...first.host.addresses] });
    const port = /\/tcp\/([0-9]+)/.exec(first.host.addresses[0] as string)?.[1];
    const third = await startNode({ peers: [`127.0.0.1:${port}`] });
    const all = [first, second, third];
    await waitUntil('all know each other', () =>
      all.every((node) => viewOf(node) === idsOf(...all)),
    );
    expect(first.metrics.value('remotecache_members')).toBe(3);
  });

  test('one that starts later is found by the next rounds', async () => {
    const late = await makeHost(allBlocks());
    await late.host.start();
    const address = late.host.addresses[0] as string;
    const first = await startNode({ peers: [address], intervalMs: 100 });
    expect(viewOf(first)).toBe(idsOf(first));
    const membership = late.host.membership({});
    const node = { ...late, membership };
    nodes.push(node);
    await membership.start();
    await waitUntil('it is found', () => viewOf(first) === idsOf(first, node));
    expect(viewOf(node)).toBe(idsOf(first, node));
  });

  test('an address that makes no sense is refused', async () => {
    const { host } = await makeHost(allBlocks());
    expect(() => host.membership({ peers: ['nowhere'] })).toThrow(/no address of a peer/);
  });
});

test('a goodbye takes a node out, and a changed weight is known', async () => {
  const first = await startNode({});
  const second = await startNode({ peers: first.host.addresses }, { weight: 30 });
  const epochs: number[] = [];
  first.membership.subscribe(({ epoch }) => epochs.push(epoch));
  const weightOf = () =>
    first.membership.current().members.find(({ nodeId }) => nodeId === second.host.nodeId)?.weight;
  expect(weightOf()).toBe(30);
  second.host.setWeight(0);
  await waitUntil('the weight is known', () => weightOf() === 0);
  await second.host.stop();
  await waitUntil('the goodbye has arrived', () => viewOf(first) === idsOf(first));
  expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
  expect(new Set(epochs).size).toBe(epochs.length);
});

test.each([
  ['group', { group: 'other', volumeId: '00000000-0000-4000-8000-000000000000' }],
  ['volume', { group: 'test', volumeId: '11111111-0000-4000-8000-000000000000' }],
])('a node of another %s is refused', async (_, name) => {
  const first = await startNode({});
  const other = await startNode({ peers: first.host.addresses }, { name });
  expect(viewOf(first)).toBe(idsOf(first));
  expect(viewOf(other)).toBe(idsOf(other));
  expect(first.metrics.value('remotecache_control_errors', { reason: 'failed' })).toBe(1);
});

describe('a member in another process', () => {
  async function childOf(node: Node, identityPath: string) {
    const peers = node.host.addresses;
    const child = await startChildPeer({ identityPath, peers, pieceBytes: 1000, pieceDelayMs: 0 });
    cleanUps.push(() => child.end());
    return child;
  }
  const identity = async () => join(await makeTempDir('member'), 'identity');

  test('that crashes leaves the view, and comes back under its name', async () => {
    const node = await startNode({});
    const path = await identity();
    const child = await childOf(node, path);
    const both = idsOf(node, { host: child });
    expect(viewOf(node)).toBe(both);
    child.signal('SIGKILL');
    await waitUntil('it is out', () => viewOf(node) === idsOf(node));
    await childOf(node, path);
    expect(viewOf(node)).toBe(both);
  });

  test('that fails a request leaves the view until it answers again', async () => {
    const node = await startNode({});
    const child = await childOf(node, await identity());
    const both = idsOf(node, { host: child });
    const { epoch } = node.membership.current();
    child.signal('SIGSTOP');
    node.membership.reportFailure(child.nodeId);
    node.membership.reportFailure(child.nodeId);
    expect(viewOf(node)).toBe(idsOf(node));
    expect(node.membership.current().epoch).toBe(epoch + 1);
    expect(node.metrics.value('remotecache_suspicions')).toBe(1);
    child.signal('SIGCONT');
    await waitUntil('it is back', () => viewOf(node) === both);
  });
});
