import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import { BulkTls } from '../../src/peer/bulk-tls.ts';
import { deriveGroupKey } from '../../src/peer/group-key.ts';
import { freshIdentity } from '../../src/peer/identity.ts';
import { bulkProof } from '../../src/peer/member-credentials.ts';
import type { PeerHostOptions } from '../../src/peer/mesh-peer-host.ts';
import { SPOKEN_VERSIONS } from '../../src/peer/protocol-version.ts';
import { dialMember } from '../../src/peer/proved-socket.ts';
import { systemNetwork } from '../../src/peer/system-network.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { generator } from '../fuzz/odd-frames.ts';
import { makeThreadTiers } from '../mesh/threads/thread-tiers.ts';
import { passOn, type Relay, startTcpProxy } from '../peer/tcp-proxy.ts';
import {
  allBlocks,
  bringsBlock,
  bytesOf,
  makePair,
  TEST_KEY,
  TEST_NAME,
  type TestHost,
} from '../peer/test-hosts.ts';
import { recordingLogger } from '../servers/recording-logger.ts';

const key: BlockKey = { sliceId: 8n, index: 0, sizeBytes: 1_000_000 };
const SECURE = { encrypted: true };

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

interface PairOptions {
  readonly server?: Partial<PeerHostOptions>;
  readonly client?: Partial<PeerHostOptions>;
  readonly relay?: Relay;
}

/** Two nodes, encrypted unless told otherwise, and whoever is between them. */
async function startPair({ server = SECURE, client = SECURE, relay }: PairOptions = {}) {
  let port = 0;
  const proxy = relay === undefined ? undefined : await startTcpProxy(() => port, relay);
  if (proxy !== undefined) stops.push(() => proxy.close());
  const network = proxy?.network ?? systemNetwork();
  const pair = await makePair(allBlocks(), { server, client: { network, ...client } });
  stops.push(pair.stop);
  port = pair.server.host.bulkPort;
  const fill = async () => expect(await bringsBlock(pair, key)).toBe(true);
  return { ...pair, fill };
}

function strangers(server: TestHost, reason: string): number {
  return server.metrics.value('remotecache_strangers', { reason });
}

/** Dials the bulk port by itself, whatever the control channel says. */
async function dial(server: TestHost, groupKey = TEST_KEY, encrypted = true) {
  const { nodeId } = await freshIdentity();
  const credentials = { self: nodeId, name: TEST_NAME, key: groupKey, versions: SPOKEN_VERSIONS };
  const proved = await dialMember(
    {
      ...{ network: systemNetwork(), clock: systemClock, to: server.host.nodeId },
      at: { host: '127.0.0.1', port: server.host.bulkPort },
      proof: bulkProof(credentials, systemRandom),
      tls: encrypted ? new BulkTls(groupKey) : undefined,
    },
    AbortSignal.timeout(5000),
  );
  stops.push(() => void proved.socket.destroy());
  return proved;
}

describe('on the wire', () => {
  /** All that passes in either direction while a block is read. */
  async function sniff(options: { encrypted: boolean; threads?: number }) {
    const heard: Buffer[] = [];
    const hear = (chunk: Buffer) => void heard.push(Buffer.from(chunk));
    const relay: Relay = async (taken, open) =>
      passOn(taken, await open(), { up: hear, down: hear });
    const { encrypted, threads } = options;
    const tiers = threads && makeThreadTiers({ cacheBytes: 4 * 2 ** 20, slabBytes: 2 ** 20 });
    if (tiers) tiers.put(key);
    const listener = tiers ? tiers.listener(threads ?? 0) : undefined;
    const { fill } = await startPair({
      relay,
      server: { encrypted, listener },
      client: { encrypted },
    });
    await fill();
    return Buffer.concat(heard);
  }

  /** How many of the block's parts can be seen. */
  function plainParts(heard: Buffer): number {
    const bytes = Buffer.from(bytesOf(key));
    const starts = Array.from({ length: 50 }, (_, index) => index * 19_993);
    return starts.filter((at) => heard.includes(bytes.subarray(at, at + 16))).length;
  }

  test('who listens sees neither bytes nor names of blocks', async () => {
    const heard = await sniff({ encrypted: true });
    expect(heard.byteLength).toBeGreaterThan(key.sizeBytes);
    expect(plainParts(heard)).toBe(0);
    expect(heard.includes(blockIdOf(key))).toBe(false);
  });

  test('the same from memory, by a thread', async () => {
    const heard = await sniff({ encrypted: true, threads: 1 });
    expect(heard.byteLength).toBeGreaterThan(key.sizeBytes);
    expect(plainParts(heard)).toBe(0);
  });

  test('without --encrypt he sees all of it', async () => {
    const heard = await sniff({ encrypted: false });
    expect(plainParts(heard)).toBe(50);
    expect(heard.includes(blockIdOf(key))).toBe(true);
  });

  test.each(['up', 'down'] as const)(
    'a bit that is changed on its way (%s) is never taken for right',
    async (way) => {
      let isOn = false;
      let changes = 0;
      const tamper = (chunk: Buffer) => {
        if (!isOn) return;
        isOn = false;
        changes += 1;
        chunk[chunk.byteLength - 1] = (chunk.at(-1) as number) ^ 1;
      };
      const relay: Relay = async (taken, open) => passOn(taken, await open(), { [way]: tamper });
      const { fill } = await startPair({ relay });
      await fill();
      isOn = true;
      // A request that never arrived may be made again; wrong bytes are no outcome.
      const outcome = await fill().then(
        () => 'all right',
        (error: Error) => error.name,
      );
      expect(changes).toBe(1);
      expect(way === 'up' ? ['all right', 'PeerError'] : ['PeerError']).toContain(outcome);
      await fill();
    },
  );
});

describe('somebody between two members', () => {
  const tls = new BulkTls(TEST_KEY);

  /** Knows the key of TLS, which is worse than anybody can be, and passes the proofs on. */
  const relayTls: Relay = async (taken, open) => {
    const near = new TLSSocket(taken, tls.serverOptions());
    near.on('error', () => undefined).on('_tlsError', () => near.destroy());
    const far = connectTls({ socket: await open(), ...tls.clientOptions() });
    far.on('error', () => undefined);
    await Promise.all([once(near, 'secure'), once(far, 'secureConnect')]);
    passOn(near, far);
  };

  test('cannot pass proofs on between two encrypted sessions', async () => {
    const { server, fill } = await startPair({ relay: relayTls });
    await expect(fill()).rejects.toMatchObject({ code: 'forbidden' });
    expect(server.metrics.value('remotecache_served_bytes')).toBe(0);
    // The one who connects sees it first: the answer is bound to the other session.
    await expect.poll(() => strangers(server, 'forbidden')).toBeGreaterThan(0);
  });

  test('who takes the place of the server without the key gets no proof', async () => {
    let heard = 0;
    const relay: Relay = (taken) => {
      const impostor = new TLSSocket(taken, {
        ...new BulkTls(deriveGroupKey(Buffer.from('a guess'), 'test')).serverOptions(),
      });
      impostor
        .on('error', () => undefined)
        .on('data', (chunk: Buffer) => {
          heard += chunk.byteLength;
        });
    };
    const { fill } = await startPair({ relay });
    await expect(fill()).rejects.toMatchObject({ code: 'forbidden' });
    expect(heard).toBe(0);
  });
});

const SEED = 20_260_301;

/** The first words of a member that encrypts. */
async function recordedHello(): Promise<Buffer> {
  const heard = Promise.withResolvers<Buffer>();
  const relay: Relay = (taken) => void taken.once('data', heard.resolve);
  const proxy = await startTcpProxy(() => 0, relay);
  stops.push(() => proxy.close());
  const socket = connectTls({
    ...{ port: proxy.port, host: '127.0.0.1' },
    ...new BulkTls(TEST_KEY).clientOptions(),
  });
  socket.on('error', () => undefined);
  const hello = await heard.promise;
  socket.destroy();
  return hello;
}

describe('a stranger', () => {
  test('with another secret gets no further than the handshake', async () => {
    const { server, fill } = await startPair();
    const guess = deriveGroupKey(Buffer.from('a guess of the secret'), 'test');
    await expect(dial(server, guess)).rejects.toMatchObject({ code: 'forbidden' });
    await expect.poll(() => strangers(server, 'forbidden')).toBe(1);
    await fill();
  });

  test('without any key gets nothing, with whatever version of TLS', async () => {
    const { server, fill } = await startPair();
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = connectTls({
        ...{ port: server.host.bulkPort, host: '127.0.0.1', rejectUnauthorized: false },
        ...{ minVersion: version, maxVersion: version },
      });
      const secured = Promise.race([
        once(socket, 'secureConnect').then(() => 'secured'),
        once(socket, 'close').then(() => 'closed'),
      ]);
      await expect(secured).rejects.toThrow(/alert|disconnected/);
    }
    await expect.poll(() => strangers(server, 'forbidden')).toBe(2);
    await fill();
  });

  test('that says too little of a handshake for too long is cut off', async () => {
    const { server, fill } = await startPair();
    for (const first of [[], [0x16], [0x16, 3, 1, 1, 0, 1]]) {
      const socket = connect(server.host.bulkPort, '127.0.0.1');
      socket.on('error', () => undefined).resume();
      await once(socket, 'connect');
      if (first.length > 0) socket.write(Uint8Array.from(first));
      await once(socket, 'close');
    }
    expect(strangers(server, 'timeout')).toBe(3);
    await fill();
  });

  test('with handshakes full of mistakes harms nobody', async () => {
    const { server, fill } = await startPair();
    const hello = await recordedHello();
    const below = generator(SEED);
    for (let round = 0; round < 300; round += 1) {
      const words = Buffer.from(hello);
      for (let count = 1 + below(4); count > 0; count -= 1) words[below(words.length)] = below(256);
      const socket = connect(server.host.bulkPort, '127.0.0.1');
      socket.on('error', () => undefined).resume();
      socket.end(words.subarray(0, below(2) === 0 ? words.length : below(words.length)));
      await once(socket, 'close');
      if (round % 50 === 0) await fill();
    }
    await fill();
    expect(server.metrics.value('remotecache_served_errors', { reason: 'failed' })).toBe(0);
  });

  test('with random bytes is no member that forgot a flag', async () => {
    const { server } = await startPair();
    const socket = connect(server.host.bulkPort, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await once(socket, 'close');
    expect(strangers(server, 'protocol')).toBe(1);
  });
});

describe('a group in which only some encrypt', () => {
  test.each([true, false])(
    'a client with --encrypt = %s is told what is wrong',
    async (encrypted) => {
      const { fill, client, server } = await startPair({
        client: { encrypted },
        server: { encrypted: !encrypted },
      });
      const [who, whoNot] = encrypted
        ? ['this node', server.host.nodeId]
        : [server.host.nodeId, 'this node'];
      await expect(fill()).rejects.toMatchObject({
        code: 'encryption',
        message: expect.stringMatching(`${who} encrypts.*${whoNot} does not: .*--encrypt`),
      });
      expect(client.metrics.value('remotecache_get_errors', { reason: 'encryption' })).toBe(1);
      // No socket was opened: the control channel said it.
      expect(strangers(server, 'encryption')).toBe(0);
    },
  );

  test('a plain connection is refused with a reason, and logged', async () => {
    const { logger, lines } = recordingLogger();
    const { server, fill } = await startPair({ server: { ...SECURE, logger } });
    await expect(dial(server, TEST_KEY, false)).rejects.toMatchObject({
      code: 'encryption',
      message: expect.stringContaining('--encrypt'),
    });
    expect(strangers(server, 'encryption')).toBe(1);
    const line = lines.find(({ message }) => message === 'a stranger was cut off');
    expect(line).toMatchObject({ level: 'warn', fields: { reason: 'encryption' } });
    await fill();
  });

  test('an encrypted connection to a node that does not is refused, and logged', async () => {
    const { logger, lines } = recordingLogger();
    const { server, fill } = await startPair({ server: { logger }, client: {} });
    await expect(dial(server)).rejects.toThrow(/disconnected|ECONNRESET/);
    await expect.poll(() => strangers(server, 'encryption')).toBe(1);
    const line = lines.find(({ message }) => message === 'a stranger was cut off');
    expect(line).toMatchObject({ level: 'warn', fields: { reason: 'encryption' } });
    await fill();
  });

  test('a node that came back with the flag is found out at once', async () => {
    const pair = await startPair({ server: {}, client: {} });
    await pair.fill();
    const again = { ...SECURE, bulkPort: pair.server.host.bulkPort };
    await pair.server.host.stop();
    const other = await startPair({ server: again, client: {} });
    // The old place, where another node listens now, is asked plainly and refuses.
    await expect(dial(other.server, TEST_KEY, false)).rejects.toMatchObject({ code: 'encryption' });
    await expect(other.fill()).rejects.toMatchObject({ code: 'encryption' });
  });
});
