import { describe, expect, test } from 'vitest';
import { toNodeId } from '../../src/block/node-id.ts';
import { IN_FLIGHT_MAX, OwnerStanding } from '../../src/mesh/owner-standing.ts';
import { VirtualClock } from './virtual-clock.ts';

const NODE = toNodeId('node');

function setUp() {
  const clock = new VirtualClock();
  return { clock, standing: new OwnerStanding(clock) };
}

describe('the standing of a peer', () => {
  test('with too many requests of ours under way it is passed over', () => {
    const { standing } = setUp();
    const leaves = Array.from({ length: IN_FLIGHT_MAX }, () => standing.enter(NODE));
    expect(standing.usable(NODE)).toBe(false);
    leaves[0]?.();
    expect(standing.usable(NODE)).toBe(true);
  });

  test('one that is busy is left alone for a moment', async () => {
    const { clock, standing } = setUp();
    standing.busy(NODE);
    expect(standing.usable(NODE)).toBe(false);
    await clock.pass(200);
    expect(standing.usable(NODE)).toBe(true);
  });

  test('one that cannot be talked to is asked again after a while, whatever it says meanwhile', async () => {
    const { clock, standing } = setUp();
    const leave = standing.enter(NODE);
    expect(standing.refused(NODE)).toBe(5_000);
    standing.heard(NODE);
    leave();
    await clock.pass(4_990);
    expect(standing.usable(NODE)).toBe(false);
    await clock.pass(10);
    expect(standing.usable(NODE)).toBe(true);
  });

  test('one that is silent is tried by one request at a time, at growing intervals', async () => {
    const { clock, standing } = setUp();
    const tries: number[] = [];
    const startedMs = clock.nowMs();
    standing.silent(NODE, startedMs);
    while (clock.nowMs() - startedMs < 20_000) {
      await clock.pass(10);
      if (!standing.usable(NODE)) continue;
      tries.push(clock.nowMs() - startedMs);
      const leave = standing.enter(NODE);
      expect(standing.usable(NODE)).toBe(false);
      await clock.pass(400);
      standing.silent(NODE, clock.nowMs() - 400);
      leave();
    }
    expect(tries.length).toBeLessThan(9);
    const gaps = tries.map((ms, at) => ms - (tries[at - 1] ?? 0));
    expect(gaps).toEqual(gaps.toSorted((a, b) => a - b));
    standing.heard(NODE);
    expect(standing.usable(NODE)).toBe(true);
  });

  test('silence is reported when it lasts, not when it is one pause', async () => {
    const { clock, standing } = setUp();
    await clock.pass(1_000);
    expect(standing.silent(NODE, clock.nowMs() - 400)).toBe(false);
    standing.heard(NODE);
    await clock.pass(5_000);
    expect(standing.silent(NODE, clock.nowMs() - 400)).toBe(false);
    await clock.pass(400);
    expect(standing.silent(NODE, clock.nowMs() - 100)).toBe(true);
  });

  test('wrong bytes count for a minute, then for two, whatever else it says', async () => {
    const { clock, standing } = setUp();
    expect(standing.corrupt(NODE)).toBe(60_000);
    standing.heard(NODE);
    expect(standing.usable(NODE)).toBe(false);
    await clock.pass(60_000);
    expect(standing.usable(NODE)).toBe(true);
    expect(standing.corrupt(NODE)).toBe(120_000);
  });

  test('nodes that never return are forgotten, those with requests of ours are not', () => {
    const { standing } = setUp();
    const leave = standing.enter(NODE);
    standing.corrupt(NODE);
    const first = toNodeId('gone-0');
    for (let index = 0; index < 8_192; index += 1) standing.corrupt(toNodeId(`gone-${index}`));
    expect(standing.usable(first)).toBe(true);
    expect(standing.usable(toNodeId('gone-8191'))).toBe(false);
    expect(standing.usable(NODE)).toBe(false);
    leave();
  });
});
