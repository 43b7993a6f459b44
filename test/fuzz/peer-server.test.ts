import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { BlockKey } from '../../src/block/block-key.ts';
import { type NodeId, toNodeId } from '../../src/block/node-id.ts';
import { BulkConnection } from '../../src/peer/bulk-connection.ts';
import { BulkServer } from '../../src/peer/bulk-server.ts';
import { DEFAULT_SERVE_TIMEOUTS } from '../../src/peer/bulk-session.ts';
import { FillExchange } from '../../src/peer/fill-exchange.ts';
import { bulkProof } from '../../src/peer/member-credentials.ts';
import { MemberProof } from '../../src/peer/member-proof.ts';
import { peerMetrics } from '../../src/peer/peer-metrics.ts';
import { SPOKEN_VERSIONS } from '../../src/peer/protocol-version.ts';
import { dialMember } from '../../src/peer/proved-socket.ts';
import { Refusals } from '../../src/peer/refusals.ts';
import { DEFAULT_SERVE_LIMITS, ServeLimits } from '../../src/peer/serve-limits.ts';
import { systemNetwork } from '../../src/peer/system-network.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { type MemoryMetrics, memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { allBlocks, bytesOf, TEST_KEY, TEST_NAME } from '../peer/test-hosts.ts';
import { generator, oddFrame } from './odd-frames.ts';

const SEED = 20_260_102;
const never = new AbortController().signal;
const serverId = toNodeId('server');
const credentials = {
  self: serverId,
  name: TEST_NAME,
  key: TEST_KEY,
  versions: SPOKEN_VERSIONS,
};
const key: BlockKey = { sliceId: 9n, index: 0, sizeBytes: 500_000 };
const DIALS_MAX = 20;
const whole = { offset: 0, length: key.sizeBytes };

let server: BulkServer;
let metrics: MemoryMetrics;

// Most frames end in an error, and a stack costs more than all that is tested here.
const { stackTraceLimit } = Error;
beforeEach(async () => {
  Error.stackTraceLimit = 0;
  metrics = memoryMetrics();
  const counted = { metrics: peerMetrics(metrics), clock: systemClock, logger: silentLogger };
  server = new BulkServer({
    network: systemNetwork(),
    credentials,
    random: systemRandom,
    strangersMax: DEFAULT_SERVE_LIMITS.strangers,
    context: {
      handler: allBlocks(),
      limits: new ServeLimits(DEFAULT_SERVE_LIMITS),
      timeouts: DEFAULT_SERVE_TIMEOUTS,
      refusals: new Refusals('bulk', counted),
      ...counted,
    },
  });
  await server.start({ host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  Error.stackTraceLimit = stackTraceLimit;
  await server.stop();
});

async function dialAs(self: NodeId, version = 3) {
  const versions = { min: 2, max: version };
  const proof = bulkProof({ ...credentials, self, versions }, systemRandom);
  const at = { host: '127.0.0.1', port: server.port };
  const options = { network: systemNetwork(), clock: systemClock, at, to: serverId, proof };
  return await dialMember(options, never);
}

/**
 * All come from one address here, so a member that is slow to prove itself may be taken for one of
 * the drips and has to try again, as the dialler of a daemon does with the next request.
 */
async function dialPatiently(self: NodeId, version = 3) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await dialAs(self, version);
    } catch (error) {
      if (tries === DIALS_MAX) throw error;
    }
  }
}

/** A stranger's first words: odd bytes, or a hello with some bytes changed. */
function oddWords(below: (limit: number) => number): Uint8Array {
  if (below(2) === 0) return oddFrame(below);
  const proof = bulkProof({ ...credentials, self: toNodeId('stranger') }, systemRandom);
  const words = MemberProof.connect(proof, serverId).send;
  for (let count = below(4); count > 0; count -= 1) words[below(words.length)] = below(256);
  return words;
}

async function untilClosed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close');
}

/** Ten odd frames, of a member or of a stranger. */
async function oddRound(round: number, below: (limit: number) => number): Promise<void> {
  const isStranger = round % 4 === 0;
  const version = 2 + (round % 2);
  const socket = isStranger
    ? connect(server.port, '127.0.0.1')
    : ((await dialPatiently(toNodeId(`peer${round % 8}`), version)).socket as Socket);
  socket.on('error', () => undefined).resume();
  if (isStranger) socket.write(oddWords(below));
  const frames = Array.from({ length: 10 }, () => oddFrame(below, version));
  socket.end(Buffer.concat(frames));
  await untilClosed(socket);
}

/** A member that reads all the while, each time within 20 s; how many reads that were. */
async function readOn(stopped: () => boolean): Promise<number> {
  const connection = new BulkConnection(await dialPatiently(toNodeId('good')), systemClock);
  const patience = { silenceMs: 20_000, totalMs: 20_000 };
  let reads = 0;
  for (; !stopped(); reads += 1) {
    const into = new Uint8Array(key.sizeBytes);
    await connection.run(new FillExchange(key, whole, into, {}), patience, never);
    expect(Buffer.compare(into, bytesOf(key))).toBe(0);
    await sleep(20);
  }
  connection.close();
  return reads;
}

/** Keeps many connections that say a byte now and then, and opens new ones for those cut off. */
async function slowLoris(stopped: () => boolean): Promise<number> {
  let opened = 0;
  const sockets = new Set<Socket>();
  while (!stopped()) {
    while (sockets.size < 200) {
      opened += 1;
      const socket = connect(server.port, '127.0.0.1');
      sockets.add(socket.on('error', () => undefined).resume());
      socket.once('close', () => sockets.delete(socket));
    }
    for (const socket of sockets) socket.write(Uint8Array.of(0x43));
    await sleep(200);
  }
  for (const socket of sockets) socket.destroy();
  return opened;
}

/** What is held after garbage was collected, which V8 does by itself only when it likes to. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test('100,000 odd frames and a slow loris move no memory and stall nobody', async () => {
  const below = generator(SEED);
  let done = false;
  const stopped = () => done;
  await readOn(() => true);
  for (let round = 0; round < 200; round += 1) await oddRound(round, below);
  const beforeBytes = heldBytes();
  const reading = readOn(stopped);
  const dripping = slowLoris(stopped);
  let round = 0;
  const work = async () => {
    for (; round < 10_000; ) await oddRound((round += 1), below);
  };
  await Promise.all(Array.from({ length: 8 }, work));
  done = true;
  const [reads, opened] = await Promise.all([reading, dripping]);
  expect(metrics.value('remotecache_served_errors', { reason: 'protocol' })).toBeGreaterThan(3000);
  expect(metrics.value('remotecache_strangers', { reason: 'protocol' })).toBeGreaterThan(1000);
  expect(opened).toBeGreaterThan(200);
  expect(reads).toBeGreaterThan(20);
  // The server hears of the last 200 connections' ends a little later, and lets go of their buffers.
  await expect.poll(() => heldBytes() - beforeBytes).toBeLessThan(16 * 2 ** 20);
}, 180_000);
