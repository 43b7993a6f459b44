import { once } from 'node:events';
import { connect } from 'node:net';
import { crc32c } from '@node-rs/crc32';
import { Packr } from 'msgpackr';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BlockKey } from '../../src/block/block-key.ts';
import { toNodeId } from '../../src/block/node-id.ts';
import { PeerError } from '../../src/peer/block-exchange.ts';
import { parseBlockReply, parseBlockRequest } from '../../src/peer/block-message.ts';
import { encodeFrame, FrameDecoder } from '../../src/peer/frame-codec.ts';
import { parseHello } from '../../src/peer/hello-message.ts';
import { encodePreamble } from '../../src/peer/preamble.ts';
import { BulkServer } from '../../src/peer/bulk-server.ts';
import { DEFAULT_SERVE_TIMEOUTS } from '../../src/peer/bulk-session.ts';
import { peerMetrics } from '../../src/peer/peer-metrics.ts';
import { DEFAULT_SERVE_LIMITS, ServeLimits } from '../../src/peer/serve-limits.ts';
import { systemNetwork } from '../../src/peer/system-network.ts';
import { TicketOffice } from '../../src/peer/ticket-office.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { allBlocks } from '../peer/test-hosts.ts';

const FRAMES = 100_000;
/** Another seed finds other things; this one makes a failure repeat. */
const SEED = 20_260_101;

// Most frames end in an error, and a stack costs more than all that is tested here.
const { stackTraceLimit } = Error;
beforeAll(() => {
  Error.stackTraceLimit = 0;
});
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

/** Numbers that look random and repeat (mulberry32, public domain). */
function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const packr = new Packr({ useRecords: false });
const ODD_VALUES: readonly unknown[] = [
  null,
  -1,
  0,
  1,
  1.5,
  2 ** 32,
  2 ** 53,
  Number.NaN,
  '',
  '1_0_4194304',
  '1_0_999999999',
  '18446744073709551616_0_1',
  'x'.repeat(500),
  true,
  [],
  [[]],
  {},
  new Date(0),
  new Uint8Array(3),
  ['1_0_1', 5],
  [{ nodeId: 'a', addresses: ['/ip4/1.2.3.4/tcp/1'] }],
];
const TYPES = ['get', 'holds', 'data', 'end', 'error', 'working', 'tiers', 'hello', 'other', 7];
const FIELDS = ['id', 'offset', 'length', 'ids', 'crc32c', 'code', 'message', 'tiers', 'bytes'];
const HELLO_FIELDS = ['weight', 'addresses', 'others'];

/** A frame that is nearly right: odd fields, odd bytes, or odd lengths, with a checksum or without. */
function oddFrame(below: (limit: number) => number): Uint8Array {
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  if (below(10) === 0) return Uint8Array.from({ length: below(200) }, () => below(256));
  const fields: Record<string, unknown> = {
    type: pick(TYPES),
    id: '9_0_5000',
    offset: 0,
    length: 9,
  };
  for (let count = below(4); count > 0; count -= 1) {
    fields[pick([...FIELDS, ...HELLO_FIELDS])] = pick(ODD_VALUES);
  }
  const header = Uint8Array.from(packr.pack(fields));
  for (let count = below(3); count > 0; count -= 1) header[below(header.length)] = below(256);
  const frame = new Uint8Array(12 + header.length);
  frame.set(encodeFrame({}).subarray(0, 4));
  const view = new DataView(frame.buffer);
  view.setUint32(4, header.length);
  view.setUint32(8, crc32c(header));
  frame.set(header, 12);
  for (let count = below(8) === 0 ? 2 : 0; count > 0; count -= 1) {
    frame[below(frame.length)] = below(256);
  }
  return frame;
}

/** @returns whether `run` went well; anything but a PeerError is a failure of the test */
function isFine(run: () => void): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    return false;
  }
}

test('100,000 odd frames give messages or typed errors at the decoder', () => {
  const below = generator(SEED);
  const outcomes = { decoded: 0, request: 0, reply: 0, hello: 0 };
  for (let count = 0; count < FRAMES; count += 1) {
    const decoder = new FrameDecoder({
      roomFor: (_, payloadBytes) => new Uint8Array(payloadBytes),
      onFrame: (header) => {
        outcomes.decoded += 1;
        if (isFine(() => void parseBlockRequest(header))) outcomes.request += 1;
        if (isFine(() => void parseBlockReply(header))) outcomes.reply += 1;
        if (isFine(() => void parseHello(header))) outcomes.hello += 1;
      },
    });
    const frame = oddFrame(below);
    const cut = below(frame.length + 1);
    isFine(() => {
      decoder.push(frame.subarray(0, cut));
      decoder.push(frame.subarray(cut));
    });
  }
  // The frames are odd in interesting ways only if many get far.
  expect(outcomes.decoded).toBeGreaterThan(FRAMES / 4);
  expect(outcomes.request).toBeGreaterThan(FRAMES / 100);
  expect(outcomes.reply).toBeGreaterThan(FRAMES / 100);
  expect(outcomes.hello).toBeGreaterThan(0);
});

test('a server lives through odd frames of members and of strangers', async () => {
  const below = generator(SEED + 1);
  const tickets = new TicketOffice(systemClock, systemRandom);
  const metrics = memoryMetrics();
  const server = new BulkServer({
    network: systemNetwork(),
    tickets,
    strangersMax: DEFAULT_SERVE_LIMITS.strangers,
    context: {
      handler: allBlocks(),
      limits: new ServeLimits(DEFAULT_SERVE_LIMITS),
      timeouts: DEFAULT_SERVE_TIMEOUTS,
      clock: systemClock,
      metrics: peerMetrics(metrics),
      logger: silentLogger,
    },
  });
  await server.start({ host: '127.0.0.1', port: 0 });
  try {
    for (let round = 0; round < 1000; round += 1) {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => undefined).resume();
      const closed = once(socket, 'close');
      if (round % 4 > 0) socket.write(encodePreamble(tickets.issue(toNodeId(`peer${round % 8}`))));
      for (let count = 0; count < 10; count += 1) socket.write(oddFrame(below));
      socket.end();
      await closed;
    }
    expect(metrics.value('remotecache_served_errors', { reason: 'protocol' })).toBeGreaterThan(300);
    expect(await sizeOfAnswer(server.port, tickets.issue(toNodeId('good')))).toBeGreaterThan(5000);
  } finally {
    await server.stop();
  }
});

/** A member that asks as it should; how many bytes it gets in all. */
async function sizeOfAnswer(port: number, ticket: Uint8Array): Promise<number> {
  const key: BlockKey = { sliceId: 9n, index: 0, sizeBytes: 5000 };
  const socket = connect(port, '127.0.0.1');
  let received = 0;
  const decoder = new FrameDecoder({
    roomFor: (_, payloadBytes) => new Uint8Array(payloadBytes),
    onFrame: ({ type }) => {
      if (type === 'end') socket.destroy();
    },
  });
  socket.on('data', (chunk) => {
    received += chunk.byteLength;
    decoder.push(chunk);
  });
  const closed = once(socket, 'close');
  socket.write(encodePreamble(ticket));
  const { sizeBytes: length } = key;
  socket.write(encodeFrame({ type: 'get', id: '9_0_5000', offset: 0, length, unknown: 1 }));
  await closed;
  return received;
}
