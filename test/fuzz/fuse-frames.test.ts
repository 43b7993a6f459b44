import { describe, expect, it } from 'vitest';
import { MemoryVolume } from '../fuse/memory-volume.ts';
import { SessionBench, settle } from '../fuse/kernel/session-bench.ts';
import { recordedFrame, RECORDED_NAMES } from '../fuse/wire/recorded-frames.ts';
import { FileType } from '../../src/posix/attr.ts';
import { decodeRequest } from '../../src/fuse/wire/request.ts';
import { WireError } from '../../src/fuse/wire/wire-error.ts';

const FRAMES = 100_000;

/** @see xorshift32: the same frames in every run */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

function mutate(frame: Uint8Array, below: (limit: number) => number): Uint8Array {
  const length = below(3) === 0 ? below(frame.byteLength + 64) : frame.byteLength;
  const mutant = new Uint8Array(length);
  mutant.set(frame.subarray(0, length));
  for (let count = below(6); count > 0 && length > 0; count--) mutant[below(length)] = below(256);
  // Most keep a right length, so that the decoders behind the header are reached.
  if (length >= 8 && below(8) !== 0) new DataView(mutant.buffer).setUint32(0, length, true);
  if (length >= 8 && below(4) === 0) new DataView(mutant.buffer).setUint32(4, below(60), true);
  return mutant;
}

function makeFrame(below: (limit: number) => number): Uint8Array {
  if (below(10) === 0) return Uint8Array.from({ length: below(200) }, () => below(256));
  const name = RECORDED_NAMES[below(RECORDED_NAMES.length)];
  if (name === undefined) throw new Error('no frames');
  return mutate(recordedFrame(name).request, below);
}

describe('frames that no kernel sends', () => {
  it('are decoded or refused with WireError', () => {
    const below = numbers(0x1234_5678);
    let refused = 0;
    for (let index = 0; index < FRAMES; index++) {
      try {
        decodeRequest(makeFrame(below));
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(FRAMES / 20);
    expect(refused).toBeLessThan((FRAMES * 19) / 20);
  });

  it('leave a session working, with nothing open', async () => {
    const below = numbers(0x9e37_79b9);
    const volume = new MemoryVolume();
    volume.add('file.txt', FileType.file, 'text');
    // The kernel's own promise, which these frames break: it forgets and releases what it has.
    volume.forget = () => undefined;
    volume.release = () => undefined;
    const bench = new SessionBench(volume);
    for (let index = 0; index < 20_000; index++) {
      bench.session.handle(makeFrame(below));
      if (index % 100 === 0) await settle();
    }
    await settle();
    bench.fireTimers();
    expect(bench.session.inFlight).toBe(0);
    expect(bench.metrics.value('bug_total')).toBe(0);
    expect((await bench.ask('getattr', 1n)).errno).toBe(0);
  });
});
