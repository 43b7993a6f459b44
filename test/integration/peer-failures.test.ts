import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { BlockKey } from '../../src/block/block-key.ts';
import { PeerError } from '../../src/peer/block-exchange.ts';
import { type ChildPeer, startChildPeer } from '../peer/child-peer.ts';
import { allBlocks, bytesOf, makeHost, makePair, type TestHost } from '../peer/test-hosts.ts';
import { wrappedNetwork } from '../peer/wrapped-network.ts';
import { makeTempDir } from '../servers/temp.ts';

const never = new AbortController().signal;
const key: BlockKey = { sliceId: 77n, index: 0, sizeBytes: 4_000_000 };
const whole = { offset: 0, length: key.sizeBytes };
const patience = { connectMs: 5000, silenceMs: 500 };

let cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  cleanUps = [];
});

async function childAndClient(
  fetchTimeouts = patience,
): Promise<{ child: ChildPeer; client: TestHost }> {
  const identityPath = join(await makeTempDir('peer'), 'identity');
  const child = await startChildPeer({
    identityPath,
    peers: [],
    pieceBytes: 50_000,
    pieceDelayMs: 20,
  });
  cleanUps.push(() => child.end());
  const client = await makeHost(allBlocks(), { fetchTimeouts });
  await client.host.start();
  cleanUps.push(() => client.host.stop());
  client.host.learn(child.nodeId, child.addresses);
  return { child, client };
}

/** Fills, and calls `onFirst` when the first bytes are there. */
async function fillFrom(child: ChildPeer, client: TestHost, onFirst?: () => void) {
  const into = new Uint8Array(key.sizeBytes);
  let first = true;
  await client.host.client.fill(child.nodeId, key, whole, into, {
    signal: never,
    onProgress: () => {
      if (first) onFirst?.();
      first = false;
    },
  });
  return into;
}

describe('a peer in another process', () => {
  test('killed in the middle of a block it is unreachable', async () => {
    const { child, client } = await childAndClient();
    const filled = fillFrom(child, client, () => child.signal('SIGKILL'));
    await expect(filled).rejects.toMatchObject({ name: 'PeerError', code: 'unreachable' });
    await expect(fillFrom(child, client)).rejects.toMatchObject({ code: 'unreachable' });
    expect(client.metrics.value('remotecache_get_errors', { reason: 'unreachable' })).toBe(2);
  });

  test('stopped in the middle of a block it times out, and works again when it goes on', async () => {
    const { child, client } = await childAndClient();
    const filled = fillFrom(child, client, () => child.signal('SIGSTOP'));
    await expect(filled).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('said nothing for 500 ms'),
    });
    await expect(fillFrom(child, client)).rejects.toMatchObject({ code: 'timeout' });
    child.signal('SIGCONT');
    expect(Buffer.compare(await fillFrom(child, client), bytesOf(key))).toBe(0);
  });

  test('a stop shorter than the deadline goes unnoticed', async () => {
    const { child, client } = await childAndClient({ connectMs: 20_000, silenceMs: 20_000 });
    const filled = fillFrom(child, client, () => {
      child.signal('SIGSTOP');
      setTimeout(() => child.signal('SIGCONT'), 200);
    });
    expect(Buffer.compare(await filled, bytesOf(key))).toBe(0);
  });

  test('restarted under the same name it is found by what a kept connection still believes', async () => {
    const identityPath = join(await makeTempDir('peer'), 'identity');
    const settings = { identityPath, peers: [], pieceBytes: 1_000_000, pieceDelayMs: 0 };
    const before = await startChildPeer(settings);
    cleanUps.push(() => before.end());
    const client = await makeHost(allBlocks());
    await client.host.start();
    cleanUps.push(() => client.host.stop());
    client.host.learn(before.nodeId, before.addresses);
    await fillFrom(before, client);
    await before.end();
    const after = await startChildPeer(settings);
    cleanUps.push(() => after.end());
    expect(after.nodeId).toBe(before.nodeId);
    client.host.learn(after.nodeId, after.addresses);
    expect(Buffer.compare(await fillFrom(after, client), bytesOf(key))).toBe(0);
  });
});

test('a server that works for longer than the silence deadline is waited for', async () => {
  const good = allBlocks();
  const pair = await makePair(
    {
      ...good,
      async *serve(wanted, range, signal, asked) {
        await new Promise((resolve) => void setTimeout(resolve, 1500));
        yield* good.serve(wanted, range, signal, asked);
      },
    },
    { client: { fetchTimeouts: patience } },
  );
  cleanUps.push(pair.stop);
  const into = new Uint8Array(key.sizeBytes);
  await pair.client.host.client.fill(pair.server.host.nodeId, key, whole, into, { signal: never });
  expect(Buffer.compare(into, bytesOf(key))).toBe(0);
});

test('a server that never gets done is given up at the total deadline', async () => {
  const pair = await makePair(
    {
      async *serve() {
        await new Promise(() => undefined);
        yield new Uint8Array(1);
      },
      holds: () => [],
    },
    { client: { fetchTimeouts: { ...patience, totalMs: 1200 } } },
  );
  cleanUps.push(pair.stop);
  const into = new Uint8Array(key.sizeBytes);
  const { client } = pair.client.host;
  const filled = client.fill(pair.server.host.nodeId, key, whole, into, { signal: never });
  await expect(filled).rejects.toMatchObject({ code: 'timeout' });
});

describe('a bit that flips on the wire', () => {
  const small: BlockKey = { sliceId: 5n, index: 1, sizeBytes: 1000 };
  const range = { offset: 100, length: 800 };
  const expected = bytesOf(small).subarray(100, 900);
  const flip = (place: { at: number }) => (chunk: Uint8Array, at: number) => {
    const index = place.at - at;
    if (index < 0 || index >= chunk.byteLength) return;
    chunk[index] = (chunk[index] as number) ^ (1 << (place.at & 7));
  };

  test.each(['incoming', 'outgoing'] as const)('%s: never wrong bytes', async (direction) => {
    const place = { at: -1 };
    const pair = await makePair(allBlocks(), {
      client: {
        network: wrappedNetwork({ [direction]: flip(place) }),
        // The flipped length of a frame is waited for.
        fetchTimeouts: { connectMs: 5000, silenceMs: 60 },
        pool: { connectionsPerPeer: 1 },
      },
    });
    cleanUps.push(pair.stop);
    const { client } = pair.client.host;
    const fill = async () => {
      const into = new Uint8Array(range.length);
      await client.fill(pair.server.host.nodeId, small, range, into, {
        signal: never,
        onProgress: (ready) => {
          expect(Buffer.compare(into.subarray(0, ready), expected.subarray(0, ready))).toBe(0);
        },
      });
      expect(Buffer.compare(into, expected)).toBe(0);
    };
    const codes = new Map<string, number>();
    // Of an answer of about 900 bytes every 7th, of a request of 58 each; of the proofs before
    // them (70 bytes come, 41 + 2 × 52 + 37 go) some.
    const proofBytes = direction === 'incoming' ? 70 : 182;
    const length = direction === 'incoming' ? 880 : 58;
    const ofProof = Array.from({ length: 10 }, (_, index) => Math.floor((index * proofBytes) / 10));
    const ofWords = Array.from({ length }, (_, index) => proofBytes + index);
    const step = direction === 'incoming' ? 7 : 1;
    for (const at of [...ofProof, ...ofWords.filter((each) => each % step === 0)]) {
      place.at = at;
      pair.client.host.client.forget(pair.server.host.nodeId);
      const error: unknown = await fill().then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error, `at ${at}`).toBeInstanceOf(PeerError);
      const { code } = error as PeerError;
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect(codes.get('corrupt')).toBeGreaterThan(20);
    place.at = -1;
    // So short a patience may end on a busy machine before a good answer has come.
    await expect.poll(() => fill().catch(String)).toBeUndefined();
  });
});
