import { expect, it } from 'vitest';
import { checkStrangers } from '../../cluster-sim/checks/strangers.ts';
import { whatIsLeftOut, whyNot } from '../../cluster-sim/processes/begin-process-fault.ts';

const TIMES = { atMs: 0, forMs: 1 };

it('a stranger may hear a refusal, and not the smallest block', () => {
  const wanted = Uint8Array.from({ length: 20 }, (_, at) => at + 1);
  const refusal = [new Uint8Array(100), new Uint8Array(60)];
  const heardOf = (...heard: Uint8Array[][]) => checkStrangers([{ node: 1, wanted, heard }]);
  expect(heardOf(refusal, [], refusal)).toEqual([]);
  const block = [Uint8Array.of(9, 9), wanted.subarray(0, 5), wanted.subarray(5)];
  expect(heardOf(refusal, block)).toEqual([
    { check: 'strangers read nothing', text: expect.stringContaining('bytes of a block') },
  ]);
  expect(heardOf([new Uint8Array(201)])).toHaveLength(1);
});

it('faults that real processes cannot have are named, whole or in part', () => {
  const origin = (quality: object) => ({ kind: 'origin', quality, ...TIMES }) as const;
  expect(whyNot(origin({ hangRate: 0.2 }))).toBe('origin: hangRate only simulated');
  expect(whyNot(origin({ latencyMs: 9, bytesPerMs: 1 }))).toBeUndefined();
  expect(whatIsLeftOut(origin({ latencyMs: 9, bytesPerMs: 1 }))).toContain('bytesPerMs');
  expect(whatIsLeftOut(origin({ errorRate: 1 }))).toBeUndefined();
  const crash = { kind: 'crash', node: 0, keepCache: true, ...TIMES } as const;
  expect(whatIsLeftOut({ ...crash, power: true })).toContain('keeps its power');
  expect(whatIsLeftOut({ ...crash, power: false })).toBeUndefined();
  expect(whyNot({ kind: 'stranger', node: 0, ...TIMES })).toContain('only simulated');
});
