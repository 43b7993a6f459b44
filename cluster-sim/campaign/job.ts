import { CANARIES, plantingOf } from '../canaries/all-canaries.ts';
import { loadScenario } from '../scenario/scenario-files.ts';
import { type RunResult, runScenario } from '../scenario/run-scenario.ts';

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

/** Runs a job twice, unless it says once: the same seed has to give the same trace. */
export async function runJob(job: Job): Promise<RunResult> {
  const scenario = loadScenario(job.scenario, job.seed);
  const first = await withBug(job, (planting) => runScenario(scenario, job.seed, planting));
  // One violation is enough, and most planted bugs have nothing to do with chance.
  const isRepeated =
    job.canary === undefined ? job.isOnce !== true : CANARIES.get(job.canary)?.isOfChance === true;
  if (first.violations.length > 0 || !isRepeated) return first;
  const second = await withBug(job, (planting) => runScenario(scenario, job.seed, planting));
  if (first.hash === second.hash) return first;
  const text = `two runs of one seed: ${first.hash} and ${second.hash}`;
  return { ...first, violations: [{ check: 'same seed, same trace', text }] };
}

/** Runs `work` with the job's bug planted. */
export async function withBug<T>(
  { canary }: Pick<Job, 'canary'>,
  work: (planting: ReturnType<typeof plantingOf>['planting']) => Promise<T>,
): Promise<T> {
  const { planting, uproot } = plantingOf(canary);
  try {
    return await work(planting);
  } finally {
    uproot();
  }
}

/** The command that runs a job again, says what happened and shrinks the scenario. */
export function replayCommand({ scenario, seed, canary }: Job): string {
  const planted = canary === undefined ? '' : ` --canary ${canary}`;
  return `npm run sim -- --replay ${scenario} --seed ${seed}${planted}`;
}
