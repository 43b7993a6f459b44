import { beforeEach, expect, test } from 'vitest';
import { toNodeId } from '../../src/block/node-id.ts';
import { SuspectWatch } from '../../src/peer/suspect-watch.ts';
import { type ManualClock, manualClock } from '../store/manual-clock.ts';

const node = toNodeId('a');
let clock: ManualClock;
let asked: number[];
let answers: boolean;
let listed: boolean;
let forgotten: string[];
let watch: SuspectWatch;

beforeEach(() => {
  clock = manualClock();
  asked = [];
  forgotten = [];
  answers = false;
  listed = true;
  watch = new SuspectWatch({
    clock,
    // No jitter.
    random: { below: () => 0, bytes: (length) => new Uint8Array(length) },
    check: async (checked) => {
      asked.push(clock.nowMs());
      if (answers) watch.clear(checked);
      return answers;
    },
    isListed: () => listed,
    forget: (gone) => void forgotten.push(gone),
  });
});

test('a suspect is asked after 0.5 s, then at doubling intervals up to 5 s', async () => {
  watch.watch(node);
  await clock.advance(20_000);
  expect(asked).toEqual([500, 1500, 3500, 7500, 12_500, 17_500]);
});

test('one that answers is asked no more, and one that fails again soon is asked less often', async () => {
  answers = true;
  watch.watch(node);
  await clock.advance(10_000);
  expect(asked).toEqual([500]);
  watch.watch(node);
  await clock.advance(10_000);
  expect(asked).toEqual([500, 11_000]);
  await clock.advance(100_000);
  watch.watch(node);
  await clock.advance(500);
  expect(asked.at(-1)).toBe(120_500);
});

test('one that neither answers nor is listed is forgotten after a minute', async () => {
  watch.watch(node);
  await clock.advance(70_000);
  expect(forgotten).toEqual([]);
  listed = false;
  await clock.advance(5000);
  expect(forgotten).toEqual(['a']);
  expect(clock.timers).toBe(0);
});

test('stop leaves no timers', async () => {
  watch.watch(node);
  watch.watch(toNodeId('b'));
  watch.stop();
  expect(clock.timers).toBe(0);
});
