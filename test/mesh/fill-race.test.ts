import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlockKey } from '../../src/block/block-key.ts';
import { toNodeId } from '../../src/block/node-id.ts';
import type { AttemptRequest, AttemptResult } from '../../src/mesh/fill-attempt.ts';
import { FillRace, type HedgeOutcome } from '../../src/mesh/fill-race.ts';
import { HedgeBudget } from '../../src/runtime/hedge-budget.ts';
import { type PeerRole, peerStep, type RouteStep } from '../../src/mesh/route-plan.ts';
import { sleep } from '../../src/runtime/deadline.ts';
import { bytesOf } from './doubles.ts';
import { VirtualClock } from './virtual-clock.ts';

const KEY: BlockKey = { sliceId: 9n, index: 1, sizeBytes: 1_000 };
const BYTES = bytesOf(KEY);
const SLOW_MS = 50;
const SILENT_MS = 400;

/** What a source does: waits, and then lets bytes through, gives a sign, or fails. */
interface Act {
  readonly afterMs: number;
  readonly does: 'bytes' | 'sign' | 'fail';
}
interface Script {
  readonly acts: readonly Act[];
  /** After its acts: delivers the rest, or says nothing for ever. */
  readonly end: 'ok' | 'hang';
  /** How long it takes to stop when it is told to. */
  readonly stopMs: number;
}

function raceOf(scripts: readonly Script[], budget = new HedgeBudget(), second: PeerRole = 'next') {
  const range = { offset: 100, length: 800 };
  const clock = new VirtualClock();
  const into = new Uint8Array(range.length);
  const wanted = BYTES.subarray(range.offset, range.offset + range.length);
  const steps: RouteStep[] = scripts.map((_, at) =>
    at === scripts.length - 1
      ? { kind: 'origin' }
      : peerStep(toNodeId(`${at}`), 'final', at === 1 ? second : 'owner'),
  );
  const seen = { progress: 0, hedges: new Map<HedgeOutcome, number>(), writers: 0, most: 0 };
  const asked: string[] = [];
  const tryStep = async (request: AttemptRequest): Promise<AttemptResult> => {
    const at = request.step.kind === 'peer' ? Number(request.step.node) : scripts.length - 1;
    const isHeld = request.step.kind === 'peer' && request.step.mode === 'held';
    asked.push(isHeld ? `${at} held` : `${at}`);
    seen.writers += 1;
    seen.most = Math.max(seen.most, seen.writers);
    try {
      return await play(scripts[at] as Script, request, clock);
    } finally {
      seen.writers -= 1;
    }
  };
  const rules = {
    clock,
    tryStep,
    slowMs: ({ kind }: RouteStep) => (kind === 'origin' ? Number.POSITIVE_INFINITY : SLOW_MS),
    silentMs: ({ kind }: RouteStep) => (kind === 'origin' ? Number.POSITIVE_INFINITY : SILENT_MS),
    mayHedge: () => budget.take(),
    onSilent: () => undefined,
    onHedge: (outcome: HedgeOutcome) =>
      void seen.hedges.set(outcome, (seen.hedges.get(outcome) ?? 0) + 1),
  };
  const abort = new AbortController();
  const target = {
    key: KEY,
    range,
    into,
    signal: abort.signal,
    onSource: () => undefined,
    onProgress: (ready: number) => {
      expect(ready).toBeGreaterThan(seen.progress);
      expect(Buffer.compare(into.subarray(0, ready), wanted.subarray(0, ready))).toBe(0);
      seen.progress = ready;
    },
  };
  const race = new FillRace(rules, target, steps);
  return { race, clock, into, wanted, seen, asked, abort };
}

/** Right up to what it reports, rubbish beyond, until it says that it has stopped. */
async function play(script: Script, request: AttemptRequest, clock: VirtualClock) {
  const { into, range, signal } = request;
  const bytes = BYTES.subarray(range.offset, range.offset + range.length);
  let ready = 0;
  const deliver = (upTo: number) => {
    into.set(bytes.subarray(ready, upTo), ready);
    ready = upTo;
    request.onProgress(ready);
  };
  try {
    for (const { afterMs, does } of script.acts) {
      await sleep(clock, afterMs, signal);
      if (does === 'fail') return { ok: false as const, error: undefined, instead: [] };
      if (does === 'sign') request.onSign();
      else if (ready < range.length) deliver(Math.min(range.length, ready + 97));
      into.fill(0xee, ready);
    }
    if (script.end === 'hang') await sleep(clock, 1e8, signal);
    if (ready < range.length) deliver(range.length);
    return { ok: true as const };
  } catch (error) {
    await sleep(clock, script.stopMs);
    into.fill(0xee, ready);
    throw error;
  }
}

const act: fc.Arbitrary<Act> = fc.record({
  afterMs: fc.constantFrom(0, 1, 30, 120, 390, 450, 2_000),
  does: fc.constantFrom('bytes', 'bytes', 'sign', 'fail'),
});
const script: fc.Arbitrary<Script> = fc.record({
  acts: fc.array(act, { maxLength: 5 }),
  end: fc.constantFrom('ok', 'hang'),
  stopMs: fc.constantFrom(0, 3, 80),
});
/** The last source is the origin, which delivers in the end. */
const origin: fc.Arbitrary<Script> = fc.record({
  acts: fc.array(
    act.map((each) => (each.does === 'fail' ? { ...each, does: 'sign' as const } : each)),
    { maxLength: 3 },
  ),
  end: fc.constant('ok' as const),
  stopMs: fc.constantFrom(0, 50),
});
const hang: Script = { acts: [], end: 'hang', stopMs: 0 };
const prompt: Script = { acts: [{ afterMs: 5, does: 'bytes' }], end: 'ok', stopMs: 0 };

describe('racing sources', () => {
  test('whatever they do, the bytes are right, and nothing is written once it is over', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(script, { maxLength: 3 }), origin, async (peers, last) => {
        // A peer that hangs after the hedges are used up would end by its own deadline.
        const bounded = peers.map((each) =>
          each.end === 'hang' ? { ...each, acts: [...each.acts, ...GIVES_UP] } : each,
        );
        const { race, clock, into, wanted, seen } = raceOf([...bounded, last]);
        await clock.run(race.run());
        expect(Buffer.compare(into, wanted)).toBe(0);
        expect(seen.progress).toBe(wanted.length);
        expect(seen.most).toBeLessThanOrEqual(2);
        into.fill(0x55);
        await clock.pass(1e6);
        expect(into.every((byte) => byte === 0x55)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('an abort at any time ends it, and nothing is written afterwards', async () => {
    const when = fc.constantFrom(0, 1, 60, 400, 420, 430, 900, 3_000);
    await fc.assert(
      fc.asyncProperty(fc.array(script, { minLength: 1, maxLength: 3 }), when, async (all, ms) => {
        const { race, clock, into, abort } = raceOf([...all, hang]);
        clock.setTimer(ms, () => abort.abort(new Error('enough')));
        const outcome = await clock.run(
          race.run().then(
            () => 'done',
            (error: Error) => error.message,
          ),
        );
        expect(['done', 'enough']).toContain(outcome);
        into.fill(0x55);
        await clock.pass(1e6);
        expect(into.every((byte) => byte === 0x55)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('a silent source costs the silence that is allowed to it and no more', async () => {
    const { race, clock, asked, seen } = raceOf([hang, prompt, prompt]);
    const startedMs = clock.nowMs();
    await clock.run(race.run());
    expect(asked).toEqual(['0', '1']);
    expect(clock.nowMs() - startedMs).toBeLessThan(SILENT_MS + 50);
    expect(seen.hedges.get('won')).toBe(1);
  });

  test('two silent sources cost the silence of one and a half, and the third is asked then', async () => {
    const { race, clock, asked, seen } = raceOf([hang, hang, prompt]);
    const startedMs = clock.nowMs();
    await clock.run(race.run());
    expect(asked).toEqual(['0', '1', '2']);
    expect(clock.nowMs() - startedMs).toBeLessThan(1.5 * SILENT_MS + 80);
    expect(seen.most).toBe(2);
    expect(Object.fromEntries(seen.hedges)).toEqual({ failed: 1, won: 1 });
  });

  test('a silent rival is waited for when nobody else may be asked', async () => {
    const budget = new HedgeBudget();
    while (budget.take()) continue;
    budget.refund();
    const late: Script = { acts: [{ afterMs: 900, does: 'bytes' }], end: 'ok', stopMs: 0 };
    const { race, clock, asked } = raceOf([hang, late, prompt], budget);
    await clock.run(race.run());
    expect(asked).toEqual(['0', '1']);
  });

  test('one that says now and then that it works is waited for', async () => {
    const acts = Array.from({ length: 20 }, (): Act => ({ afterMs: 300, does: 'sign' }));
    const { race, clock, asked } = raceOf([{ acts, end: 'ok', stopMs: 0 }, prompt, prompt]);
    await clock.run(race.run());
    expect(asked).toEqual(['0']);
  });

  test('another holder is asked early, but only for what it holds', async () => {
    const slow: Script = { acts: [{ afterMs: 300, does: 'bytes' }], end: 'ok', stopMs: 0 };
    const steps = ['next', 'owner'] as const;
    for (const role of steps) {
      const { race, clock, asked } = raceOf([slow, prompt, prompt], new HedgeBudget(), role);
      const startedMs = clock.nowMs();
      await clock.run(race.run());
      expect(asked).toEqual(role === 'owner' ? ['0', '1 held'] : ['0']);
      expect(clock.nowMs() - startedMs).toBeLessThanOrEqual(role === 'owner' ? SLOW_MS + 50 : 300);
    }
  });

  test('without hedges left a source ends by its own deadline', async () => {
    const budget = new HedgeBudget();
    while (budget.take()) continue;
    const { race, clock, asked, seen } = raceOf([{ ...hang, acts: GIVES_UP }, prompt], budget);
    await clock.run(race.run());
    expect(asked).toEqual(['0', '1']);
    expect(seen.hedges.get('denied')).toBeGreaterThan(0);
    expect(seen.most).toBe(1);
  });
});

test('hedges are a twentieth of all requests, plus a burst', () => {
  const budget = new HedgeBudget();
  let taken = 0;
  for (let request = 0; request < 10_000; request += 1) {
    budget.earn();
    if (budget.take()) taken += 1;
  }
  expect(taken).toBeLessThanOrEqual(10_000 / 20 + 16);
  expect(taken).toBeGreaterThanOrEqual(10_000 / 20);
});

/** What the peer client does with a peer that is silent for long. */
const GIVES_UP: readonly Act[] = [
  { afterMs: 1_000, does: 'sign' },
  { afterMs: 10, does: 'fail' },
];
