import type { Clock } from '../../src/runtime/clock.ts';
import type { NodeTime } from '../world/node-time.ts';
import type { Canary } from './canary.ts';

/** Timers of this length, in ms, are deadlines: shorter ones are pauses, longer ones are never met. */
const FROM_MS = 500;

/** Deadlines pass and nobody is told. */
export const deadTimeout: Canary = {
  about: 'time-outs of half a second and more never fire',
  plant: () => ({ planting: { clock: withoutDeadlines }, uproot: () => undefined }),
};

function withoutDeadlines(right: NodeTime): Clock {
  return {
    nowMs: () => right.nowMs(),
    wallMs: () => right.wallMs(),
    setTimer(delayMs, run) {
      return delayMs < FROM_MS ? right.setTimer(delayMs, run) : { cancel: () => undefined };
    },
  };
}
