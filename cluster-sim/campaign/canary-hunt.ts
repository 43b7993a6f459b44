import { CANARIES } from '../canaries/all-canaries.ts';
import type { RunResult } from '../scenario/run-scenario.ts';
import { swarmJobs } from './campaign.ts';
import type { JobPool } from './job-pool.ts';

/** A planted bug has to be found within so many seeds. */
export const CANARY_SEEDS_MAX = 200;

/** How a planted bug was found. */
export interface CanaryReport {
  readonly name: string;
  readonly about: string;
  /** Seeds until then; undefined when it was not found. */
  readonly seeds: number | undefined;
  /** The check that found it, and what it said. */
  readonly found: RunResult['violations'][number] | undefined;
}

/** Plants each canary in turn and runs seeds until a check finds it. */
export async function huntCanaries(
  pool: JobPool,
  firstSeed: number,
  onReport: (report: CanaryReport) => void,
): Promise<void> {
  for (const [name, { about, scenario }] of CANARIES) {
    let seeds = 0;
    let found: CanaryReport['found'];
    await pool.run(jobsOf(name, scenario, firstSeed), (_, { violations }) => {
      if (found === undefined) seeds += 1;
      found ??= violations[0];
      return found === undefined;
    });
    onReport({ name, about, seeds: found === undefined ? undefined : seeds, found });
  }
}

function* jobsOf(canary: string, scenario: string | undefined, firstSeed: number) {
  for (const job of swarmJobs(firstSeed, (count) => count < CANARY_SEEDS_MAX)) {
    yield { ...job, scenario: scenario ?? job.scenario, canary };
  }
}
