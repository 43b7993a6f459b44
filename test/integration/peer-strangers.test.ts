import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { crc32c } from '@node-rs/crc32';
import { afterEach, describe, expect, test } from 'vitest';
import { type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import { encodeFrame } from '../../src/peer/frame-codec.ts';
import { deriveGroupKey } from '../../src/peer/group-key.ts';
import { freshIdentity } from '../../src/peer/identity.ts';
import { bulkProof } from '../../src/peer/member-credentials.ts';
import { MemberProof } from '../../src/peer/member-proof.ts';
import type { Network } from '../../src/peer/network.ts';
import { SPOKEN_VERSIONS } from '../../src/peer/protocol-version.ts';
import { systemNetwork } from '../../src/peer/system-network.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { allBlocks, bringsBlock, makePair, TEST_NAME, type TestHost } from '../peer/test-hosts.ts';
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
  const fill = async () => expect(await bringsBlock(pair, key)).toBe(true);
  return { ...pair, fill };
}

async function dial(server: TestHost): Promise<Socket> {
  const socket = connect(server.host.bulkPort, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** What the server says until it hangs up; `onData` may answer. */
async function answerTo(
  server: TestHost,
  bytes: Uint8Array,
  onData: (chunk: Buffer, socket: Socket) => void = () => undefined,
): Promise<Buffer> {
  const socket = await dial(server);
  const received: Buffer[] = [];
  socket.on('data', (chunk) => {
    received.push(chunk);
    onData(chunk, socket);
  });
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  if (bytes.byteLength > 0) socket.write(bytes);
  await closed;
  return Buffer.concat(received);
}

/** First byte of a TLS handshake record. @see RFC 8446, 5.1 */
const TLS_HANDSHAKE = 0x16;
const ANSWER_BYTES = 70;
const REFUSAL_BYTES = 8;
const REQUEST = encodeFrame(
  { type: 'get', id: blockIdOf(key), offset: 0, length: key.sizeBytes },
  0,
  { version: 3, request: 1 },
);

function strangers(server: TestHost, reason: string): number {
  return server.metrics.value('remotecache_strangers', { reason });
}

/** Speaks as members do, but does not know what they know. */
async function strangerCredentials() {
  const { nodeId } = await freshIdentity();
  const stolen = deriveGroupKey(Buffer.from('a guess of the secret'), 'test');
  return { self: nodeId, name: TEST_NAME, key: stolen, versions: SPOKEN_VERSIONS };
}

describe('a stranger gets nothing', () => {
  test('with random bytes', async () => {
    const { server, fill } = await startPair();
    for (let round = 0; round < 20; round += 1) {
      const bytes = randomBytes(36 + round * 50);
      // What begins like TLS is refused for another reason, and counted under that.
      if (bytes[0] === TLS_HANDSHAKE) bytes[0] = 0;
      expect((await answerTo(server, bytes)).byteLength).toBe(0);
    }
    expect(strangers(server, 'protocol')).toBe(20);
    await fill();
  });

  test('with the whole protocol and another secret', async () => {
    let asked = 0;
    const handler = {
      ...allBlocks(),
      holds: () => [],
      async *serve() {
        asked += 1;
        yield new Uint8Array(1);
      },
    };
    const pair = await makePair(handler);
    stop = pair.stop;
    const { server } = pair;
    const options = bulkProof(await strangerCredentials(), systemRandom);
    const { send } = MemberProof.connect(options, server.host.nodeId);
    // It cannot check the answer, and sends what a member would all the same.
    const said = await answerTo(server, send, (chunk, socket) => {
      if (chunk.byteLength !== ANSWER_BYTES) return;
      const proof = Buffer.concat([Uint8Array.of(0x43, 0x4d, 0x50, 1, 3), randomBytes(32)]);
      socket.write(Buffer.concat([proof, REQUEST, REQUEST]));
    });
    expect(said.byteLength).toBe(ANSWER_BYTES + REFUSAL_BYTES);
    expect(asked).toBe(0);
    expect(strangers(server, 'forbidden')).toBe(1);
  });

  test('with requests before the proof is answered', async () => {
    const { server, fill } = await startPair();
    const options = bulkProof(await strangerCredentials(), systemRandom);
    const { send } = MemberProof.connect(options, server.host.nodeId);
    const said = await answerTo(server, Buffer.concat([send, REQUEST]));
    expect(said.byteLength).toBe(0);
    expect(await answerTo(server, REQUEST)).toHaveLength(0);
    await fill();
  });

  test('with what a member said before', async () => {
    const seen: Uint8Array[] = [];
    const network = wrappedNetwork({ outgoing: (chunk) => void seen.push(chunk.slice()) });
    const { server, fill } = await startPair({ client: { network } });
    await fill();
    const [hello, ...rest] = seen as [Uint8Array, ...Uint8Array[]];
    // All at once, and step by step.
    expect(await answerTo(server, Buffer.concat(seen))).toHaveLength(0);
    const said = await answerTo(server, hello, (chunk, socket) => {
      if (chunk.byteLength === ANSWER_BYTES) socket.write(Buffer.concat(rest));
    });
    expect(said.byteLength).toBe(ANSWER_BYTES + REFUSAL_BYTES);
    expect(strangers(server, 'protocol')).toBe(1);
    expect(strangers(server, 'forbidden')).toBe(1);
  });

  test('with what the server itself says', async () => {
    const { server, fill } = await startPair();
    const options = bulkProof(await strangerCredentials(), systemRandom);
    const { send } = MemberProof.connect(options, server.host.nodeId);
    const said = await answerTo(server, send, (chunk, socket) => void socket.write(chunk));
    expect(said.byteLength).toBe(ANSWER_BYTES);
    expect(strangers(server, 'protocol')).toBe(1);
    await fill();
  });

  test('when it says too little for too long, or a little at a time', async () => {
    const { server, fill } = await startPair();
    const options = bulkProof(await strangerCredentials(), systemRandom);
    const { send } = MemberProof.connect(options, server.host.nodeId);
    const drip = async () => {
      const socket = await dial(server);
      let at = 0;
      const timer = setInterval(() => socket.write(send.subarray(at, (at += 1))), 100);
      await once(socket, 'close');
      clearInterval(timer);
      return at;
    };
    const [said, dripped] = await Promise.all([answerTo(server, Uint8Array.of(0x43)), drip()]);
    expect(said.byteLength).toBe(0);
    expect(dripped).toBeLessThan(send.byteLength);
    expect(strangers(server, 'timeout')).toBe(2);
    await fill();
  });

  test('and many of them cost only themselves', async () => {
    const { server, fill } = await startPair({ server: { limits: { strangers: 20 } } });
    const idle = await Promise.all(Array.from({ length: 60 }, () => dial(server)));
    await waitUntil('40 strangers are cut off', () => strangers(server, 'busy') >= 40);
    expect(strangers(server, 'busy')).toBe(40);
    // The house is full of them, and a member is heard at once.
    await fill();
    expect(strangers(server, 'busy')).toBe(41);
    await waitUntil('the rest is cut off', () => idle.every(({ destroyed }) => destroyed));
  });
});

describe('a stranger in place of a peer', () => {
  /** A listener that members take for the bulk port, and all that they say to it. */
  async function impostor(answer: (chunk: Buffer, socket: Socket) => void, patienceMs: number) {
    const heard: Buffer[] = [];
    const sockets = new Set<Socket>();
    const listener = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined));
      socket.on('data', (chunk) => {
        heard.push(chunk);
        answer(chunk, socket);
      });
    });
    await once(listener.listen(0, '127.0.0.1'), 'listening');
    const { port } = listener.address() as AddressInfo;
    const network = systemNetwork();
    const redirected: Network = {
      ...network,
      connect: (to, options) => network.connect({ ...to, port }, options),
    };
    const pair = await startPair({
      client: {
        network: redirected,
        fetchTimeouts: { connectMs: patienceMs, silenceMs: patienceMs },
      },
    });
    stop = async () => {
      await pair.stop();
      for (const socket of sockets) socket.destroy();
      listener.close();
    };
    return { ...pair, heard: () => Buffer.concat(heard) };
  }

  test.each([
    ['says nothing', () => undefined, 'timeout'],
    [
      'throws back what it hears',
      (chunk: Buffer, socket: Socket): void => void socket.write(chunk),
      'protocol',
    ],
    ['hangs up', (_: Buffer, socket: Socket): void => void socket.destroy(), 'unreachable'],
    [
      'answers with another secret',
      (chunk: Buffer, socket: Socket) => {
        if (chunk.byteLength < 100) return;
        const head = Uint8Array.of(0x43, 0x4d, 0x50, 1, 2, 3);
        socket.write(Buffer.concat([head, randomBytes(64)]));
      },
      'forbidden',
    ],
  ] as const)('that %s learns no key', async (_, answer, code) => {
    const { fill, heard, client } = await impostor(
      answer,
      // A busy machine may need longer than this for the other ones.
      code === 'timeout' ? 500 : 20_000,
    );
    await expect(fill()).rejects.toMatchObject({ code });
    const helloBytes = 41 + 2 * client.host.nodeId.length;
    expect(heard().byteLength).toBeLessThanOrEqual(helloBytes + REFUSAL_BYTES);
    expect(heard().includes(blockIdOf(key))).toBe(false);
  });
});

describe('another version', () => {
  test.each([
    [
      { min: 4, max: 5 },
      { min: 2, max: 3 },
    ],
    [
      { min: 2, max: 2 },
      { min: 3, max: 3 },
    ],
  ])('%o of the client is refused by %o with a clear error', async (client, server) => {
    const { fill, ...pair } = await startPair({
      client: { versions: client },
      server: { versions: server },
    });
    await expect(fill()).rejects.toMatchObject({
      code: 'protocol',
      message: expect.stringMatching(/speaks versions? .*, this node/),
    });
    expect(strangers(pair.server, 'protocol')).toBe(1);
  });

  test.each([2, 3])('is agreed on when it is common: %i', async (version) => {
    const seen: Uint8Array[] = [];
    const network = wrappedNetwork({ outgoing: (chunk) => void seen.push(chunk.slice()) });
    const { fill } = await startPair({
      client: { network },
      server: { versions: { min: 2, max: version } },
    });
    await fill();
    expect([...Buffer.concat(seen.slice(2)).subarray(0, 4)]).toEqual([0x43, 0x4d, 0x58, version]);
  });
});

test('an answer to another request than the last one is no answer', async () => {
  let change = (_chunk: Uint8Array) => undefined as void;
  const network = wrappedNetwork({ outgoing: (chunk) => change(chunk) });
  const { fill } = await startPair({ client: { network } });
  await fill();
  change = (chunk) => {
    chunk.set(renumbered(chunk, 7));
  };
  await expect(fill()).rejects.toMatchObject({
    code: 'protocol',
    message: expect.stringContaining('an answer (7) that nobody waits for'),
  });
  change = () => undefined;
  await fill();
});

/** The same frame, as if it were of another request. */
function renumbered(frame: Uint8Array, request: number): Uint8Array {
  const copy = Uint8Array.from(frame);
  const view = new DataView(copy.buffer);
  view.setUint32(12, request);
  view.setUint32(8, crc32c(copy.subarray(12)));
  return copy;
}

test('a node with another secret is told so on the control channel, and nothing it says counts', async () => {
  const { key: guess } = await strangerCredentials();
  const { fill, client, server } = await startPair({ client: { key: guess } });
  const members = server.host.membership();
  await members.start();
  const asMember = client.host.membership({ peers: server.host.addresses });
  await asMember.start();
  await expect(fill()).rejects.toMatchObject({ code: 'forbidden' });
  expect(members.current().members).toHaveLength(1);
  expect(asMember.current().members).toHaveLength(1);
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
