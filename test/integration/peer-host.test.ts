import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import type { BlockKey } from '../../src/block/block-key.ts';
import { toNodeId } from '../../src/block/node-id.ts';
import { freshIdentity } from '../../src/peer/identity.ts';
import { allBlocks, makeHost, makePair } from '../peer/test-hosts.ts';

let taken: Server | undefined;
afterEach(() => taken?.close());

async function takePort(): Promise<number> {
  taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  return (taken.address() as AddressInfo).port;
}

test.each(['port', 'bulkPort'])(
  'a %s that is taken is an error, and nothing stays',
  async (which) => {
    const port = await takePort();
    const { host } = await makeHost(allBlocks(), { [which]: port });
    await expect(host.start()).rejects.toMatchObject({
      name: 'PeerError',
      code: 'failed',
      message: expect.stringMatching(/cannot listen/),
    });
    expect(host.bulkPort).toBe(0);
    taken?.close();
    // Whatever had started would now be in the way.
    const again = await makeHost(allBlocks(), { [which]: port });
    await again.host.start();
    await again.host.stop();
  },
);

test('an address to announce that makes no sense is an error, and nothing stays', async () => {
  const { host } = await makeHost(allBlocks(), { announce: ['nonsense'] });
  await expect(host.start()).rejects.toMatchObject({ code: 'bad-address' });
  expect(host.bulkPort).toBe(0);
});

test('a node whose id or address is none is out of reach, like any other that is away', async () => {
  const { host } = await makeHost(allBlocks());
  await host.start();
  onTestFinished(() => host.stop());
  const nonsense = toNodeId('nonsense');
  const { nodeId } = await freshIdentity();
  host.learn(nonsense, ['/ip4/127.0.0.1/tcp/1']);
  host.learn(nodeId, ['/nonsense']);
  const { signal } = new AbortController();
  const key: BlockKey = { sliceId: 1n, index: 0, sizeBytes: 10 };
  for (const node of [nonsense, nodeId]) {
    const range = { offset: 0, length: 10 };
    const filled = host.client.fill(node, key, range, new Uint8Array(10), { signal });
    await expect(filled).rejects.toMatchObject({ name: 'PeerError', code: 'unreachable' });
  }
});

test('a host that stops ends what it serves, and its client hears of it', async () => {
  const begun = Promise.withResolvers<AbortSignal>();
  const pair = await makePair({
    async *serve(_key, _range, signal) {
      begun.resolve(signal);
      await new Promise(() => undefined);
      yield new Uint8Array(1);
    },
    holds: () => [],
  });
  const key: BlockKey = { sliceId: 1n, index: 0, sizeBytes: 10 };
  const filled = pair.client.host.client.fill(
    pair.server.host.nodeId,
    key,
    { offset: 0, length: 10 },
    new Uint8Array(10),
    { signal: new AbortController().signal },
  );
  const outcome = filled.catch((error: unknown) => error);
  const signal = await begun.promise;
  await pair.server.host.stop();
  expect(signal.aborted).toBe(true);
  expect(await outcome).toMatchObject({ code: 'unreachable' });
  await pair.stop();
});
