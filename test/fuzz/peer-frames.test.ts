import { afterAll, beforeAll, expect, test } from 'vitest';
import { PeerError } from '../../src/peer/block-exchange.ts';
import { parseBlockReply, parseBlockRequest } from '../../src/peer/block-message.ts';
import { FrameDecoder } from '../../src/peer/frame-codec.ts';
import { parseGossip } from '../../src/peer/gossip/gossip-message.ts';
import { generator, oddFrame } from './odd-frames.ts';

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
  const outcomes = { decoded: 0, request: 0, reply: 0, gossip: 0 };
  for (let count = 0; count < FRAMES; count += 1) {
    const decoder = new FrameDecoder({
      roomFor: (_, payloadBytes) => new Uint8Array(payloadBytes),
      onFrame: (header) => {
        outcomes.decoded += 1;
        if (isFine(() => void parseBlockRequest(header))) outcomes.request += 1;
        if (isFine(() => void parseBlockReply(header))) outcomes.reply += 1;
        if (isFine(() => void parseGossip(header))) outcomes.gossip += 1;
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
  expect(outcomes.gossip).toBeGreaterThan(0);
});
