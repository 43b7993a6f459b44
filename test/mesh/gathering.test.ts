import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import { bytesOf } from './doubles.ts';
import { MeshDouble, memberOf, type Mood, type NodeDouble } from './mesh-double.ts';

const keys = (count: number, sizeBytes = 500): BlockKey[] =>
  Array.from({ length: count }, (_, at) => ({ sliceId: BigInt(at + 1), index: 0, sizeBytes }));

/** A group in which the last node keeps nothing: all blocks belong to the others. */
function groupOf(count: number) {
  const mesh = new MeshDouble({ seed: 1 });
  const nodes = Array.from({ length: count }, (_, at) => mesh.add(`node-${at}`));
  const members = nodes.map(({ id }, at) => memberOf(id, at === count - 1 ? 0 : 100));
  for (const node of nodes) node.see(members);
  return { mesh, nodes, reader: nodes.at(-1) as NodeDouble, owner: nodes[0] as NodeDouble };
}

/** Gathers and waits. @returns how often each block was reported as done */
async function gather(mesh: MeshDouble, node: NodeDouble, blocks: readonly BlockKey[]) {
  const done = new Map<string, number>();
  const all = Promise.withResolvers<void>();
  node.loader.gather(blocks, (key) => {
    done.set(blockIdOf(key), (done.get(blockIdOf(key)) ?? 0) + 1);
    if (done.size === blocks.length) all.resolve();
  });
  await mesh.clock.run(all.promise);
  return done;
}

async function warm(mesh: MeshDouble, node: NodeDouble, blocks: readonly BlockKey[]) {
  await mesh.clock.run(Promise.all(blocks.map((key) => mesh.read(node, key))));
}

const held = ({ memory }: NodeDouble, blocks: readonly BlockKey[]) =>
  blocks.filter((key) => memory.has(blockIdOf(key)));

const wrong = ({ memory }: NodeDouble) =>
  [...memory.blocks].filter(([id, bytes]) => {
    const [sliceId = '', index = '', size = ''] = id.split('/').at(-1)?.split('_') ?? [];
    const key = { sliceId: BigInt(sliceId), index: Number(index), sizeBytes: Number(size) };
    return Buffer.compare(bytes, bytesOf(key)) !== 0;
  });

const event = ({ metrics }: NodeDouble, name: string) =>
  metrics.value('mesh_events_total', { event: name });

describe('small blocks of one peer', () => {
  test('come in few requests and cost the origin nothing', async () => {
    const { mesh, reader, owner } = groupOf(2);
    const blocks = keys(200);
    await warm(mesh, owner, blocks);
    const done = await gather(mesh, reader, blocks);
    expect([...done.values()]).toEqual(blocks.map(() => 1));
    expect(held(reader, blocks)).toHaveLength(blocks.length);
    expect(wrong(reader)).toEqual([]);
    expect(mesh.fetches).toBe(blocks.length);
    expect(mesh.manyRequests.reduce((sum, count) => sum + count, 0)).toBe(blocks.length);
    expect(mesh.manyRequests.length).toBeLessThanOrEqual(12);
    expect(reader.memory).toMatchObject({ reserved: 0, held: 0 });
  });

  test('a lone block waits for nobody', async () => {
    const { mesh, reader, owner } = groupOf(2);
    const blocks = keys(1);
    await warm(mesh, owner, blocks);
    const beganMs = mesh.clock.nowMs();
    await gather(mesh, reader, blocks);
    expect(mesh.clock.nowMs() - beganMs).toBeLessThanOrEqual(2);
  });

  test('of several owners come from each in requests of its own', async () => {
    const { mesh, nodes, reader } = groupOf(4);
    const blocks = keys(120);
    for (const node of nodes.slice(0, -1)) {
      await warm(
        mesh,
        node,
        blocks.filter((key) => node.owns(blockIdOf(key))),
      );
    }
    await gather(mesh, reader, blocks);
    expect(held(reader, blocks)).toHaveLength(blocks.length);
    expect(mesh.fetches).toBe(blocks.length);
    expect(mesh.manyRequests).toHaveLength(3);
  });

  test('a reader joins a block that is on its way in a batch', async () => {
    const { mesh, reader, owner } = groupOf(2);
    const blocks = keys(20);
    await warm(mesh, owner, blocks);
    const gathered = gather(mesh, reader, blocks);
    expect(await mesh.clock.run(mesh.read(reader, blocks[19] as BlockKey))).toBe(true);
    await gathered;
    expect(event(reader, 'joined')).toBe(1);
    expect(mesh.manyRequests).toEqual([20]);
  });

  test('larger ones, and those that are there, are not asked for together', async () => {
    const { mesh, reader, owner } = groupOf(2);
    const [large] = keys(1, 2 * 1024 * 1024) as [BlockKey];
    const blocks = [...keys(10).slice(1), large];
    await warm(mesh, owner, blocks);
    await warm(mesh, reader, blocks.slice(0, 5));
    await gather(mesh, reader, blocks);
    expect(held(reader, blocks)).toHaveLength(blocks.length);
    expect(mesh.manyRequests).toEqual([4]);
  });
});

describe('a peer that does not deliver', () => {
  test.each<Mood>(['dead', 'frozen', 'corrupt', 'busy', 'failing'])(
    'is %s: what nobody waits for is dropped, a reader gets its block another way',
    async (mood) => {
      const { mesh, reader, owner } = groupOf(2);
      const blocks = keys(30);
      await warm(mesh, owner, blocks);
      owner.mood = mood;
      const gathered = gather(mesh, reader, blocks);
      expect(await mesh.clock.run(mesh.read(reader, blocks[7] as BlockKey))).toBe(true);
      const done = await gathered;
      expect([...done.values()]).toEqual(blocks.map(() => 1));
      expect(held(reader, blocks)).toEqual([blocks[7]]);
      expect(wrong(reader)).toEqual([]);
      // The origin was asked for what the reader needed, and for nothing else.
      expect(mesh.fetches).toBe(blocks.length + 1);
      expect(event(reader, 'prefetch-dropped')).toBe(blocks.length - 1);
      expect(reader.memory).toMatchObject({ reserved: 0, held: 0 });
    },
  );

  test('a block that this node itself is to fetch comes from the origin, once', async () => {
    const { mesh, nodes } = groupOf(2);
    const [owner] = nodes as [NodeDouble];
    const blocks = keys(40);
    const done = await gather(mesh, owner, blocks);
    expect([...done.values()]).toEqual(blocks.map(() => 1));
    expect(held(owner, blocks)).toHaveLength(blocks.length);
    expect(mesh.fetches).toBe(blocks.length);
  });

  test('without room in memory nothing is asked for', async () => {
    const { mesh, reader, owner } = groupOf(2);
    const blocks = keys(30);
    await warm(mesh, owner, blocks);
    reader.memory.full = true;
    await gather(mesh, reader, blocks);
    expect(mesh.manyRequests).toEqual([]);
    expect(event(reader, 'prefetch-dropped')).toBe(blocks.length);
  });

  test('a daemon that stops ends its requests', async () => {
    const { mesh, reader, owner } = groupOf(2);
    const blocks = keys(30);
    await warm(mesh, owner, blocks);
    owner.mood = 'frozen';
    const gathered = gather(mesh, reader, blocks);
    await mesh.clock.pass(5);
    await mesh.clock.run(reader.loader.stop());
    expect((await gathered).size).toBe(blocks.length);
    expect(reader.memory).toMatchObject({ reserved: 0, held: 0 });
  });
});

test('whatever peers do, blocks are done once, bytes are right and no memory is lost', {
  timeout: 60_000,
}, async () => {
  const moods = fc.constantFrom<Mood>('well', 'well', 'well', 'dead', 'frozen', 'corrupt', 'busy');
  const step = fc.record({
    from: fc.nat(59),
    count: fc.integer({ min: 1, max: 60 }),
    /** Beyond the last one: no read. */
    read: fc.nat(90),
    mood: moods,
    node: fc.nat(2),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      const { mesh, nodes, reader } = groupOf(4);
      const blocks = keys(60, 64);
      for (const { from, count, read, mood, node } of steps) {
        (nodes[node] as NodeDouble).mood = mood;
        const some = blocks.slice(from, from + count);
        const gathered = gather(mesh, reader, some);
        const key = blocks[read];
        const isRight = key === undefined || (await mesh.clock.run(mesh.read(reader, key)));
        expect(isRight).toBe(true);
        const done = await gathered;
        expect([...done.values()]).toEqual(some.map(() => 1));
      }
      expect(nodes.flatMap(wrong)).toEqual([]);
      await mesh.clock.pass(5_000);
      for (const node of nodes) expect(node.memory).toMatchObject({ reserved: 0, held: 0 });
    }),
    { numRuns: 25 },
  );
});
