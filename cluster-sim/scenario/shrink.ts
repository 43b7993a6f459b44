import type { Fault } from '../faults/fault.ts';
import type { Scenario } from './scenario.ts';

/** Scenarios that are tried at most, where nobody says otherwise. */
export const SHRINK_TRIES_MAX = 200;

/** Ways to make a scenario smaller, those that take most away first. */
function* smallerThan(scenario: Scenario): Generator<Scenario> {
  const { faults, load, nodes, volume } = scenario;
  if (faults.length > 1) {
    yield { ...scenario, faults: faults.slice(0, faults.length >> 1) };
    yield { ...scenario, faults: faults.slice(faults.length >> 1) };
  }
  for (const fault of faults) {
    yield { ...scenario, faults: faults.filter((other) => other !== fault) };
  }
  if (nodes > 1) yield { ...scenario, nodes: nodes - 1 };
  if (load.readersPerNode > 1) {
    yield { ...scenario, load: { ...load, readersPerNode: load.readersPerNode - 1 } };
  }
  if (load.reads > 1) yield { ...scenario, load: { ...load, reads: load.reads >> 1 } };
  if (volume.blocks > 1) {
    yield { ...scenario, volume: { ...volume, blocks: volume.blocks >> 1 } };
  }
  if (load.readAhead) yield { ...scenario, load: { ...load, readAhead: false } };
  if (load.warm) yield { ...scenario, load: { ...load, warm: false } };
  if (load.partShare > 0) yield { ...scenario, load: { ...load, partShare: 0 } };
  for (const [at, fault] of faults.entries()) {
    if (fault.forMs > 100) yield withFault(scenario, at, { ...fault, forMs: fault.forMs >> 1 });
  }
}

function withFault(scenario: Scenario, at: number, fault: Fault): Scenario {
  return { ...scenario, faults: scenario.faults.with(at, fault) };
}

/**
 * Takes away from a scenario whatever it does not need to fail.
 *
 * @param fails - whether a scenario still fails in the same way
 * @param triesMax - scenarios that are tried at most
 */
export async function shrinkScenario(
  scenario: Scenario,
  fails: (smaller: Scenario) => Promise<boolean>,
  triesMax = SHRINK_TRIES_MAX,
): Promise<{ readonly scenario: Scenario; readonly runs: number }> {
  let smallest = scenario;
  let runs = 0;
  for (let isSmaller = true; isSmaller && runs < triesMax; ) {
    isSmaller = false;
    for (const smaller of smallerThan(smallest)) {
      if (runs >= triesMax) break;
      runs += 1;
      if (!(await fails(smaller))) continue;
      smallest = smaller;
      isSmaller = true;
      break;
    }
  }
  return { scenario: smallest, runs };
}
