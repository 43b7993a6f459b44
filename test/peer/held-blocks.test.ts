import { afterEach, expect, test } from 'vitest';
import type { BlockKey } from '../../src/block/block-key.ts';
import { bytesOf, heldBlocks, makePair } from './test-hosts.ts';
import { wrappedNetwork } from './wrapped-network.ts';

const never = new AbortController().signal;
const key: BlockKey = { sliceId: 3n, index: 0, sizeBytes: 1_000_000 };
const whole = { offset: 0, length: key.sizeBytes };

let stop: (() => Promise<void>) | undefined;
afterEach(async () => stop?.());

test('what is in memory goes past the slow way, one by one and many at once', async () => {
  const { handler, count } = heldBlocks(({ index }) => index % 3 > 0);
  const pair = await makePair(handler);
  ({ stop } = pair);
  const { client } = pair.client.host;
  const server = pair.server.host.nodeId;
  await client.fill(server, { ...key, index: 1 }, whole, new Uint8Array(key.sizeBytes), {
    signal: never,
  });
  expect(count.served).toBe(0);
  const wanted = Array.from({ length: 30 }, (_, index) => ({
    key: { sliceId: 4n, index, sizeBytes: 1000 },
    into: new Uint8Array(1000),
    onDone: () => undefined,
  }));
  await client.getMany(server, wanted, { signal: never });
  expect(count.served).toBe(10);
  expect(count.peak).toBe(20);
  expect(pair.server.metrics.value('remotecache_served_blocks')).toBe(31);
  expect(pair.server.metrics.value('remotecache_served_bytes')).toBe(key.sizeBytes + 30_000);
  expect(pair.client.metrics.value('remotecache_get_bytes')).toBe(key.sizeBytes + 30_000);
});

test('a server whose memory changes under it is found out, at the piece that is wrong', async () => {
  const { handler } = heldBlocks();
  const pair = await makePair({
    ...handler,
    hold(asked, range, by) {
      const held = handler.hold?.(asked, range, by);
      if (held !== undefined) held.bytes[600_000] = (held.bytes[600_000] as number) ^ 1;
      return held;
    },
  });
  ({ stop } = pair);
  const into = new Uint8Array(key.sizeBytes);
  let ready = 0;
  const filled = pair.client.host.client.fill(pair.server.host.nodeId, key, whole, into, {
    signal: never,
    onProgress: (bytes) => {
      ready = bytes;
    },
  });
  await expect(filled).rejects.toMatchObject({ code: 'corrupt' });
  expect(ready).toBe(4 * 131_072);
  expect(Buffer.compare(into.subarray(0, ready), bytesOf(key).subarray(0, ready))).toBe(0);
});

test('a flipped bit in one of many blocks fails it, and those before it are right', async () => {
  const flip = { at: -1 };
  const { handler } = heldBlocks();
  const incoming = (chunk: Uint8Array, at: number) => {
    const index = flip.at - at;
    if (index >= 0 && index < chunk.byteLength) chunk[index] = (chunk[index] as number) ^ 4;
  };
  const pair = await makePair(handler, { client: { network: wrappedNetwork({ incoming }) } });
  ({ stop } = pair);
  const wanted = Array.from({ length: 10 }, (_, index) => ({
    key: { sliceId: 4n, index, sizeBytes: 50_000 },
    into: new Uint8Array(50_000),
    onDone: () => void (done += 1),
  }));
  let done = 0;
  // Behind the handshake and some frames, in the middle of a payload.
  flip.at = 275_000;
  const got = pair.client.host.client.getMany(pair.server.host.nodeId, wanted, { signal: never });
  await expect(got).rejects.toMatchObject({ code: 'corrupt' });
  expect(done).toBe(5);
  for (const { key: asked, into } of wanted.slice(0, done)) {
    expect(Buffer.compare(into, bytesOf(asked))).toBe(0);
  }
});
