import { CANARIES, plantingOf } from '../canaries/all-canaries.ts';
import { loadScenario } from '../scenario/scenario-files.ts';
import { type RunResult, runScenario } from '../scenario/run-scenario.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { SimStock } from '../world/sim-stock.ts';

/** What a violation says that only a second run of the same seed shows. */
export const SAME_TRACE = 'same seed, same trace';

/** One seed of one scenario, perhaps with a planted bug. */
export interface Job {
  /** As `loadScenario` understands it. */
  readonly scenario: string;
  readonly seed: number;
  /** Name of a canary; undefined: nothing is planted. */
  readonly canary: string | undefined;
  /** Run once only, so that nobody learns whether the seed repeats. Default: twice. */
  readonly isOnce?: boolean;
}

/** What jobs are run with. */
export interface JobParts {
  readonly stock: SimStock;
  /** Run instead of the one that the job names. */
  readonly scenario?: Scenario;
  /** Gets each line of the first run's trace. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** Runs a job twice, unless it says once: the same seed has to give the same trace. */
export async function runJob(job: Job, parts: JobParts): Promise<RunResult> {
  const first = await runOnce(job, parts);
  // One violation is enough, and most planted bugs have nothing to do with chance.
  const isRepeated =
    job.canary === undefined ? job.isOnce !== true : CANARIES.get(job.canary)?.isOfChance === true;
  if (first.violations.length > 0 || !isRepeated) return first;
  const second = await runOnce(job, { ...parts, onLine: undefined });
  if (first.hash === second.hash) return first;
  const text = `two runs of one seed: ${first.hash} and ${second.hash}`;
  return { ...first, violations: [{ check: SAME_TRACE, text }] };
}

/** Runs a job once, with its bug planted. */
export async function runOnce(
  { scenario: name, seed, canary }: Job,
  { stock, scenario = loadScenario(name, seed), onLine }: JobParts,
): Promise<RunResult> {
  const { planting, uproot } = plantingOf(canary);
  try {
    return await runScenario(scenario, seed, { planting, stock, onLine });
  } finally {
    uproot();
  }
}

/** The command that runs a job again, says what happened and shrinks the scenario. */
export function replayCommand({ scenario, seed, canary }: Job): string {
  const planted = canary === undefined ? '' : ` --canary ${canary}`;
  return `npm run sim -- --replay ${scenario} --seed ${seed}${planted}`;
}
