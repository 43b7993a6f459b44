import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import { MeshDouble, memberOf, type Mood, type NodeDouble, seeded } from './mesh-double.ts';

const SERVED = { event: 'served' };

const keys = (count: number): BlockKey[] =>
  Array.from({ length: count }, (_, at) => ({
    sliceId: BigInt(at + 1),
    index: at % 16,
    sizeBytes: 64 + (at % 50),
  }));

/** A group whose members all know each other. */
function groupOf(count: number, options: { seed: number; replicas?: number }) {
  const mesh = new MeshDouble(options);
  const nodes = Array.from({ length: count }, (_, at) => mesh.add(`node-${at}`));
  const members = nodes.map(({ id }) => memberOf(id));
  for (const node of nodes) node.see(members);
  return { mesh, nodes, members };
}

function shuffled<T>(list: readonly T[], seed: number): T[] {
  const random = seeded(seed);
  const left = [...list];
  return list.map(() => left.splice(random.below(left.length), 1)[0] as T);
}

/** Each node reads all blocks in an order of its own, eight at a time. */
async function readAll(mesh: MeshDouble, nodes: readonly NodeDouble[], blocks: BlockKey[]) {
  const wrong: string[] = [];
  const readers = nodes.flatMap((node, at) => {
    const queue = shuffled(blocks, at + 1);
    const reader = async () => {
      for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
        if (!(await mesh.read(node, key))) wrong.push(`${node.id}: ${blockIdOf(key)}`);
      }
    };
    return Array.from({ length: 8 }, reader);
  });
  await mesh.clock.run(Promise.all(readers));
  return wrong;
}

const served = ({ metrics }: NodeDouble) =>
  metrics.value('mesh_events_total', { event: 'served' }) -
  metrics.value('mesh_source_requests_total', { role: 'referred', outcome: 'absent' });

const astrayBytes = (nodes: readonly NodeDouble[]) =>
  nodes.reduce((sum, { metrics }) => sum + metrics.value('mesh_astray_bytes_total'), 0);

describe('a group of nodes', { timeout: 60_000 }, () => {
  test.each([1, 2, 3])(
    'reads a cold dataset in different orders: one fetch each, with %i replicas, evenly served',
    async (replicas) => {
      const { mesh, nodes } = groupOf(8, { seed: 1, replicas });
      const blocks = keys(2_400);
      expect(await readAll(mesh, nodes, blocks)).toEqual([]);
      // A second holder whose first one is just too busy goes to the origin by itself, and counts it.
      const twice = mesh.fetches - blocks.length;
      const limit = replicas === 1 ? 0 : Math.min(blocks.length / 50, astrayBytes(nodes));
      expect(twice).toBeLessThanOrEqual(limit);
      const loads = nodes.map(served);
      const mean = loads.reduce((sum, load) => sum + load, 0) / loads.length;
      expect(Math.max(...loads) / mean).toBeLessThanOrEqual(1.15);
    },
  );

  test.each([11, 12, 13, 14])(
    'silent, busy and failing owners cost second fetches, each of which is counted (seed %i)',
    async (seed) => {
      const { mesh, nodes } = groupOf(6, { seed });
      const blocks = keys(300);
      const [slow, busy, failing] = nodes as [NodeDouble, NodeDouble, NodeDouble];
      // Longer than a healthy peer is silent, now and then.
      slow.delayMs = 450;
      busy.mood = seed % 2 === 0 ? 'busy' : 'well';
      failing.mood = seed % 3 === 0 ? 'failing' : 'well';
      expect(await readAll(mesh, nodes, blocks)).toEqual([]);
      const twice = blocks.reduce((sum, key) => {
        const times = mesh.fetched.get(blockIdOf(key)) ?? 0;
        return sum + (times - 1) * key.sizeBytes;
      }, 0);
      expect(twice).toBeGreaterThan(0);
      expect(twice).toBeLessThanOrEqual(astrayBytes(nodes));
    },
  );

  test('a join and a drain cost the origin nothing', async () => {
    const { mesh, nodes, members } = groupOf(8, { seed: 3 });
    const blocks = keys(800);
    await readAll(mesh, nodes, blocks);
    // Each node keeps only what it owns.
    keepOwned(nodes);
    expect(mesh.fetches).toBe(blocks.length);
    const ninth = mesh.add('node-8');
    const joined = [...members, memberOf(ninth.id)];
    ninth.see(joined, mesh.clock.nowMs());
    for (const node of nodes) node.see(joined);
    expect(await readAll(mesh, [ninth], blocks)).toEqual([]);
    expect(mesh.fetches).toBe(blocks.length);
    // A ring that was replaced at once has placed nothing, and nobody asks its owners.
    await mesh.clock.pass(3_000);
    const drained = joined.map((member) =>
      member.nodeId === nodes[0]?.id ? { ...member, weight: 0 } : member,
    );
    for (const node of [ninth, ...nodes]) node.see(drained);
    // Node 0 still holds what it owned, and nobody else does.
    for (const node of [ninth, ...nodes.slice(1)]) keepOwned([node]);
    expect(await readAll(mesh, nodes.slice(1, 3), blocks)).toEqual([]);
    expect(mesh.fetches).toBe(blocks.length);
  });

  test('an owner that is frozen costs a read no more than the hedge', async () => {
    const { mesh, nodes } = groupOf(4, { seed: 4 });
    const blocks = keys(400);
    const [reader, frozen] = nodes as [NodeDouble, NodeDouble];
    frozen.mood = 'frozen';
    let slowestMs = 0;
    for (const key of blocks) {
      const startedMs = mesh.clock.nowMs();
      expect(await mesh.clock.run(mesh.read(reader, key))).toBe(true);
      slowestMs = Math.max(slowestMs, mesh.clock.nowMs() - startedMs);
    }
    // 400 ms of silence, and what the next owner takes to fetch the block.
    expect(slowestMs).toBeLessThan(550);
    expect(reader.metrics.value('mesh_hedges_total', { outcome: 'won' })).toBeGreaterThan(0);
    expect(reader.reported).toContain(frozen.id);
  });

  test('with replicas the loss of one costs the origin nothing', async () => {
    const { mesh, nodes } = groupOf(5, { seed: 5, replicas: 2 });
    const blocks = keys(300);
    const [reader, lost] = nodes as [NodeDouble, NodeDouble];
    await readAll(mesh, [reader], blocks);
    await mesh.clock.pass(5_000);
    expect(mesh.fetches).toBe(blocks.length);
    lost.mood = 'dead';
    const other = nodes[2] as NodeDouble;
    expect(await readAll(mesh, [other], blocks)).toEqual([]);
    expect(mesh.fetches).toBe(blocks.length);
  });

  test('with replicas each zone has a copy, and readers ask their own zone', async () => {
    const { mesh, nodes, members } = groupOf(6, { seed: 6, replicas: 2 });
    const zoneOf = (at: number) => (at < 3 ? 'a' : 'b');
    const zoned = members.map((member, at) => ({ ...member, zone: zoneOf(at) }));
    for (const node of nodes) node.see(zoned);
    const blocks = keys(300);
    const [first, , reader] = nodes as [NodeDouble, NodeDouble, NodeDouble];
    await readAll(mesh, [first], blocks);
    // Replicas are spread by their first holders.
    await mesh.clock.pass(5_000);
    const servedBy = (some: readonly NodeDouble[]) =>
      some.reduce((sum, { metrics }) => sum + metrics.value('mesh_events_total', SERVED), 0);
    const [near, far] = [servedBy(nodes.slice(0, 3)), servedBy(nodes.slice(3))];
    expect(await readAll(mesh, [reader], blocks)).toEqual([]);
    expect(mesh.fetches).toBe(blocks.length);
    expect(servedBy(nodes.slice(0, 3)) - near).toBeGreaterThan(blocks.length / 2);
    expect(servedBy(nodes.slice(3)) - far).toBe(0);
  });

  test('a block that all want at once spreads like a tree', async () => {
    const { mesh, nodes } = groupOf(200, { seed: 6 });
    const [block] = keys(1) as [BlockKey];
    const reads = nodes.map((node) => mesh.read(node, block));
    expect(await mesh.clock.run(Promise.all(reads))).not.toContain(false);
    expect(mesh.fetches).toBe(1);
    const most = Math.max(...nodes.map(served));
    expect(most).toBeLessThanOrEqual(60);
    // When it is cold again it is simply served.
    await mesh.clock.pass(60_000);
    const reader = nodes[7] as NodeDouble;
    reader.memory.blocks.clear();
    const before = referrals(nodes);
    expect(await mesh.clock.run(mesh.read(reader, block))).toBe(true);
    expect(referrals(nodes)).toBe(before);
  });

  test('a peer that sent wrong bytes is not asked again for a minute, and then once more', async () => {
    const { mesh, nodes } = groupOf(3, { seed: 7 });
    const [reader, liar] = nodes as [NodeDouble, NodeDouble];
    liar.mood = 'corrupt';
    const blocks = keys(200);
    expect(await readAll(mesh, [reader], blocks)).toEqual([]);
    const found = () => reader.metrics.value('mesh_events_total', { event: 'peer-corrupt' });
    // Up to eight requests were under way when the first one showed it.
    expect(found()).toBeGreaterThan(0);
    expect(found()).toBeLessThanOrEqual(8);
    const before = found();
    await mesh.clock.pass(1_000);
    reader.memory.blocks.clear();
    await readAll(mesh, [reader], blocks);
    expect(found()).toBe(before);
    await mesh.clock.pass(600_000);
    reader.memory.blocks.clear();
    await readAll(mesh, [reader], blocks);
    expect(found()).toBeGreaterThan(before);
  });

  test('whatever nodes believe and whoever fails, reads end, and with right bytes', async () => {
    const moods: Mood[] = ['well', 'well', 'frozen', 'dead', 'corrupt', 'busy', 'failing'];
    const node = fc.record({
      mood: fc.constantFrom(...moods),
      delayMs: fc.constantFrom(0, 0, 20, 600),
      /** Weights of all as this node sees them: rings that disagree. */
      weights: fc.array(fc.constantFrom(0, 50, 100), { minLength: 5, maxLength: 5 }),
    });
    const world = fc.record({
      seed: fc.nat(),
      replicas: fc.constantFrom(1, 2, 3),
      nodes: fc.array(node, { minLength: 5, maxLength: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(world, async ({ seed, replicas, nodes: plans }) => {
        const { mesh, nodes } = groupOf(5, { seed, replicas });
        for (const [at, plan] of plans.entries()) {
          const double = nodes[at] as NodeDouble;
          double.mood = plan.mood;
          double.delayMs = plan.delayMs;
          double.see(nodes.map(({ id }, place) => memberOf(id, plan.weights[place])));
        }
        expect(await readAll(mesh, nodes, keys(25))).toEqual([]);
        await mesh.clock.pass(60_000);
        for (const { memory } of nodes) expect([memory.held, memory.reserved]).toEqual([0, 0]);
      }),
      { numRuns: 60 },
    );
  });
});

/** Memory of a node that has room only for what it keeps for the group. */
function keepOwned(nodes: readonly NodeDouble[]): void {
  for (const { memory, owns } of nodes) {
    for (const id of memory.blocks.keys()) if (!owns(id)) memory.delete(id);
  }
}

function referrals(nodes: readonly NodeDouble[]): number {
  const event = 'referred';
  return nodes.reduce((sum, { metrics }) => sum + metrics.value('mesh_events_total', { event }), 0);
}
