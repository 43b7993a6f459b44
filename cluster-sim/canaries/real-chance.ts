import type { Clock } from '../../src/runtime/clock.ts';
import type { NodeTime } from '../world/node-time.ts';
import type { Canary } from './canary.ts';

/** Something does not come from the seed. */
export const realChance: Canary = {
  about: 'timers are late by real chance, so that a seed does not repeat',
  isOfChance: true,
  plant: () => ({ planting: { clock: jittering }, uproot: () => undefined }),
};

function jittering(right: NodeTime): Clock {
  return {
    nowMs: () => right.nowMs(),
    wallMs: () => right.wallMs(),
    setTimer: (delayMs, run) => right.setTimer(delayMs + Math.random(), run),
  };
}
