import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { BlockKey } from '../../src/block/block-key.ts';
import { encodePreamble } from '../../src/peer/preamble.ts';
import { allBlocks, bytesOf, makePair, type TestHost } from '../peer/test-hosts.ts';
import { wrappedNetwork } from '../peer/wrapped-network.ts';
import { waitUntil } from '../servers/wait-until.ts';

const never = new AbortController().signal;
const key: BlockKey = { sliceId: 8n, index: 0, sizeBytes: 100_000 };
const whole = { offset: 0, length: key.sizeBytes };

let stop: (() => Promise<void>) | undefined;
afterEach(async () => stop?.());

async function startPair(client: Parameters<typeof makePair>[1] = {}) {
  const pair = await makePair(allBlocks(), client);
  stop = pair.stop;
  const fill = async () => {
    const into = new Uint8Array(key.sizeBytes);
    await pair.client.host.client.fill(pair.server.host.nodeId, key, whole, into, {
      signal: never,
    });
    expect(Buffer.compare(into, bytesOf(key))).toBe(0);
  };
  return { ...pair, fill };
}

async function dial(server: TestHost): Promise<Socket> {
  const socket = connect(server.host.bulkPort, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** What the server says until it hangs up. */
async function answerTo(server: TestHost, bytes: Uint8Array): Promise<number> {
  const socket = await dial(server);
  let received = 0;
  socket.on('data', (chunk) => {
    received += chunk.byteLength;
  });
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  if (bytes.byteLength > 0) socket.write(bytes);
  await closed;
  return received;
}

describe('a stranger gets nothing', () => {
  test('with random bytes', async () => {
    const { server, fill } = await startPair();
    for (let round = 0; round < 20; round += 1) {
      expect(await answerTo(server, randomBytes(36 + round * 50))).toBe(0);
    }
    expect(server.metrics.value('remotecache_strangers', { reason: 'preamble' })).toBe(20);
    await fill();
  });

  test('with a ticket that nobody gave out', async () => {
    const { server, fill } = await startPair();
    expect(await answerTo(server, encodePreamble(randomBytes(32)))).toBe(0);
    expect(server.metrics.value('remotecache_strangers', { reason: 'ticket' })).toBe(1);
    await fill();
  });

  test('with a ticket that was used before', async () => {
    const seen: Uint8Array[] = [];
    const network = wrappedNetwork({
      outgoing: (chunk, at) => {
        if (at === 0) seen.push(chunk.slice());
      },
    });
    const { server, fill } = await startPair({ client: { network } });
    await fill();
    expect(seen.length).toBe(1);
    expect(await answerTo(server, seen[0] as Uint8Array)).toBe(0);
    expect(server.metrics.value('remotecache_strangers', { reason: 'ticket' })).toBe(1);
  });

  test('when it says too little for too long', async () => {
    const { server, fill } = await startPair();
    expect(await answerTo(server, Uint8Array.of(0x43))).toBe(0);
    expect(server.metrics.value('remotecache_strangers', { reason: 'timeout' })).toBe(1);
    await fill();
  });

  test('and many of them cost only themselves', async () => {
    const { server, fill } = await startPair({ server: { limits: { strangers: 20 } } });
    const strangers = await Promise.all(Array.from({ length: 60 }, () => dial(server)));
    const cutOff = () => server.metrics.value('remotecache_strangers', { reason: 'too-many' });
    await waitUntil('40 strangers are cut off', () => cutOff() >= 40);
    expect(cutOff()).toBe(40);
    // The others are cut off after 2 s, and then members are heard again.
    await waitUntil('the rest is cut off', () => strangers.every(({ destroyed }) => destroyed));
    await fill();
  });
});

describe('another version', () => {
  test('of the client is refused with a clear error', async () => {
    const network = wrappedNetwork({
      outgoing: (chunk, at) => {
        if (at === 0) chunk[3] = 2;
      },
    });
    const { fill } = await startPair({ client: { network } });
    await expect(fill()).rejects.toMatchObject({
      code: 'protocol',
      message: expect.stringContaining('version 2 is not spoken here, only 1'),
    });
  });

  test('of the server is refused with a clear error', async () => {
    const network = wrappedNetwork({
      incoming: (chunk, at) => {
        if (at === 0) chunk[3] = 2;
      },
    });
    const { fill } = await startPair({ client: { network } });
    await expect(fill()).rejects.toMatchObject({
      code: 'protocol',
      message: expect.stringContaining('version 2; this node speaks 1'),
    });
  });
});

test('a client of another group or volume gets no ticket', async () => {
  const volumeId = '00000000-0000-4000-8000-000000000000';
  const other = '11111111-0000-4000-8000-000000000000';
  for (const name of [
    { group: 'other', volumeId },
    { group: 'test', volumeId: other },
  ]) {
    const pair = await makePair(allBlocks(), { client: { name } });
    stop = pair.stop;
    const filled = pair.client.host.client.fill(
      pair.server.host.nodeId,
      key,
      whole,
      new Uint8Array(key.sizeBytes),
      { signal: never },
    );
    await expect(filled).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringMatching(/another (group|volume)/),
    });
    expect(pair.server.metrics.value('remotecache_control_errors', { reason: 'failed' })).toBe(1);
    await pair.stop();
  }
});

test('a peer that opens too many connections is told that the server is busy', async () => {
  const { client, server } = await startPair({
    server: { limits: { connectionsPerPeer: 2 } },
    client: { pool: { connectionsPerPeer: 6 } },
  });
  const gate = Array.from({ length: 6 }, async () => {
    const into = new Uint8Array(key.sizeBytes);
    await client.host.client.fill(server.host.nodeId, key, whole, into, { signal: never });
  });
  const outcomes = await Promise.allSettled(gate);
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
  for (const { reason } of refused) expect(reason).toMatchObject({ code: 'busy' });
  expect(outcomes.length - refused.length).toBeGreaterThanOrEqual(2);
});
