import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import type { Connection, Libp2p } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { afterEach, describe, expect, test } from 'vitest';
import type { BlockKey } from '../../src/block/block-key.ts';
import { toNodeId } from '../../src/block/node-id.ts';
import { ConnectionProofs } from '../../src/peer/connection-proofs.ts';
import { controlProof } from '../../src/peer/member-credentials.ts';
import type { PeerHostOptions } from '../../src/peer/mesh-peer-host.ts';
import { SPOKEN_VERSIONS } from '../../src/peer/protocol-version.ts';
import type { WarmHandler } from '../../src/peer/warm-exchange.ts';
import type { WarmRequest } from '../../src/peer/warm-message.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import {
  allBlocks,
  makeHost,
  makePair,
  TEST_KEY,
  TEST_NAME,
  type TestHost,
} from '../peer/test-hosts.ts';
import { recordingLogger } from '../servers/recording-logger.ts';
import { waitUntil } from '../servers/wait-until.ts';

const never = new AbortController().signal;
const key: BlockKey = { sliceId: 8n, index: 0, sizeBytes: 1_000_000 };

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

async function startPair(options: Parameters<typeof makePair>[1], handler = allBlocks()) {
  const log = recordingLogger();
  const server = { logger: log.logger, ...options?.server };
  const pair = await makePair(handler, { ...options, server });
  stops.push(pair.stop);
  return { ...pair, lines: log.lines };
}

async function startClient(to: TestHost, options: Partial<PeerHostOptions> = {}) {
  const client = await makeHost(allBlocks(), options);
  await client.host.start();
  stops.push(() => client.host.stop());
  client.host.learn(to.host.nodeId, to.host.addresses);
  return client;
}

function refusals(server: TestHost, plane: string, limit: string): number {
  return server.metrics.value('remotecache_refusals', { plane, limit });
}

/** Those that failed, after all have settled. */
async function failuresOf(asked: readonly Promise<unknown>[]): Promise<unknown[]> {
  const outcomes = await Promise.allSettled(asked);
  return outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
}

describe('on bulk connections', () => {
  /** A handler that serves when it may. */
  function gated() {
    const gate = Promise.withResolvers<void>();
    const begun = { count: 0 };
    const all = allBlocks();
    const handler = {
      ...all,
      async *serve(...asked: Parameters<typeof all.serve>) {
        begun.count += 1;
        await gate.promise;
        yield* all.serve(...asked);
      },
    };
    return { handler, begun, open: gate.resolve };
  }

  test('one peer cannot take the bytes of another', async () => {
    const { handler, begun, open } = gated();
    const limits = { bytesPerPeer: 250_000, bytes: 10_000_000 };
    const { server, client, lines } = await startPair({ server: { limits } }, handler);
    const other = await startClient(server);
    const range = { offset: 0, length: 100_000 };
    const fill = (from: TestHost) =>
      from.host.client.fill(server.host.nodeId, key, range, new Uint8Array(range.length), {
        signal: never,
      });
    const greedy = failuresOf(Array.from({ length: 5 }, () => fill(client)));
    await waitUntil('three to be refused', () => refusals(server, 'bulk', 'bytes') === 3);
    const modest = failuresOf([fill(other), fill(other)]);
    await waitUntil('four to be served', () => begun.count === 4);
    open();
    const refused = await greedy;
    expect(refused.map((error) => (error as { code: string }).code)).toEqual(Array(3).fill('busy'));
    expect(await modest).toEqual([]);
    await fill(client);
    const said = lines.filter(({ message }) => message.startsWith('a limit'));
    expect(said).toMatchObject([
      { level: 'warn', fields: { plane: 'bulk', limit: 'bytes', peer: client.host.nodeId } },
    ]);
  });

  test('requests and connections have limits of their own', async () => {
    const { handler, open } = gated();
    const limits = { requestsPerPeer: 2, connectionsPerPeer: 4 };
    const { server, client } = await startPair({ server: { limits } }, handler);
    const range = { offset: 0, length: 10 };
    const asked = Array.from({ length: 7 }, () =>
      client.host.client.fill(server.host.nodeId, key, range, new Uint8Array(10), {
        signal: never,
      }),
    );
    const failures = failuresOf(asked);
    await waitUntil('five to be refused', () => {
      return refusals(server, 'bulk', 'requests') + refusals(server, 'bulk', 'connections') === 5;
    });
    expect(refusals(server, 'bulk', 'connections')).toBeGreaterThan(0);
    expect(refusals(server, 'bulk', 'requests')).toBeGreaterThan(0);
    open();
    for (const error of await failures) expect(error).toMatchObject({ code: 'busy' });
  });
});

describe('on control connections', () => {
  const REQUEST: WarmRequest = {
    ...{ job: 'job', batch: 1, ids: undefined },
    ...{ parallel: 1, waitMs: 0, handover: false },
  };

  /** A node that answers when it may, and counts who waits. */
  function slowWarmer() {
    const gate = Promise.withResolvers<void>();
    const waiting = { count: 0 };
    const handler: WarmHandler = {
      async warm() {
        waiting.count += 1;
        await gate.promise;
        throw new Error('done waiting');
      },
      cancel: () => undefined,
      evict: () => ({ blocks: 0, bytes: 0 }),
    };
    return { handler, waiting, open: gate.resolve };
  }

  test('requests beyond the limit are refused as busy, and others of the group are not', async () => {
    const controlLimits = { requestsPerPeer: 3 };
    const { server, client, lines } = await startPair({ server: { controlLimits } });
    const other = await startClient(server);
    const { handler, waiting, open } = slowWarmer();
    server.host.handleWarm(handler);
    const warm = (from: TestHost) => from.host.warm.warm(server.host.nodeId, REQUEST, 0, never);
    const asked = failuresOf(Array.from({ length: 8 }, () => warm(client)));
    await waitUntil('five to be refused', () => refusals(server, 'control', 'requests') === 5);
    await waitUntil('three to be heard', () => waiting.count === 3);
    const fromOther = failuresOf([warm(other)]);
    await waitUntil('the other to be heard', () => waiting.count === 4);
    open();
    const codes = (await asked).map((error) => (error as { code: string }).code);
    expect(codes.sort()).toEqual([...Array(5).fill('busy'), ...Array(3).fill('failed')]);
    expect(await fromOther).toMatchObject([{ code: 'failed' }]);
    const said = lines.filter(({ message }) => message.startsWith('a limit'));
    expect(said).toHaveLength(1);
  });

  test('bytes beyond the limit are refused as busy', async () => {
    const controlLimits = { bytesPerPeer: 2 * 65_536 };
    const { server, client } = await startPair({ server: { controlLimits } });
    const { handler, waiting, open } = slowWarmer();
    server.host.handleWarm(handler);
    const asked = failuresOf(
      Array.from({ length: 5 }, () => client.host.warm.warm(server.host.nodeId, REQUEST, 0, never)),
    );
    await waitUntil('three to be refused', () => refusals(server, 'control', 'bytes') === 3);
    await waitUntil('two to be heard', () => waiting.count === 2);
    open();
    const codes = (await asked).map((error) => (error as { code: string }).code);
    expect(codes.sort()).toEqual(['busy', 'busy', 'busy', 'failed', 'failed']);
  });

  test('connections that do not prove themselves make room, and members stay', async () => {
    const controlLimits = { strangers: 3 };
    const { server, client } = await startPair({ server: { controlLimits } });
    const fill = (from: TestHost) =>
      from.host.client.fill(server.host.nodeId, key, { offset: 0, length: 9 }, new Uint8Array(9), {
        signal: never,
      });
    await fill(client);
    const idle = await Promise.all(Array.from({ length: 8 }, () => idleConnection(server)));
    await waitUntil('five to be cut off', () => refusals(server, 'control', 'strangers') === 5);
    await waitUntil('them to notice', () => idle.filter(isOpen).length === 3);
    expect(isOpen(idle[7] as Connection)).toBe(true);
    // A new member finds room among them.
    await fill(await startClient(server));
    expect(refusals(server, 'control', 'strangers')).toBe(6);
    await fill(client);
  });

  test("a connection on which we have begun the proof is no stranger's", async () => {
    const { server } = await startPair({ server: { controlLimits: { strangers: 3 } } });
    const quiet = await quietMember();
    const connection = await quiet.dial(multiaddr(server.host.addresses[0] as string));
    // With a stream in it the other side knows the connection.
    await connection.newStream('/cachemesh/control/2');
    const asked = server.host.reports.ask(toNodeId(quiet.peerId.toString()), {
      timeoutMs: 5_000,
      signal: never,
    });
    // It has proved itself, and answers nothing else.
    await expect(asked).rejects.toMatchObject({ code: 'protocol' });
    const idle = await Promise.all(Array.from({ length: 4 }, () => idleConnection(server)));
    await waitUntil('one to be cut off', () => ![connection, ...idle].every(isOpen));
    expect(isOpen(connection)).toBe(true);
    expect(refusals(server, 'control', 'strangers')).toBe(1);
  });
});

const isOpen = ({ status }: Connection) => status === 'open';

async function plainNode(): Promise<Libp2p> {
  const node = await createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  });
  stops.push(async () => node.stop());
  return node;
}

/** A member that answers proofs and never begins one. */
async function quietMember(): Promise<Libp2p> {
  const node = await plainNode();
  const self = toNodeId(node.peerId.toString());
  const credentials = { self, name: TEST_NAME, key: TEST_KEY, versions: SPOKEN_VERSIONS };
  const proofs = new ConnectionProofs(() => controlProof(credentials, systemRandom), systemClock);
  await node.handle('/cachemesh/proof/1', (stream, connection) =>
    proofs.accept(stream, connection, never),
  );
  return node;
}

/** A connection of libp2p on which nobody proves anything. */
async function idleConnection(server: TestHost): Promise<Connection> {
  const node = await plainNode();
  return node.dial(multiaddr(server.host.addresses[0] as string));
}
