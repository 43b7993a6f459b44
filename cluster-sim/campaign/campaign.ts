import type { RunResult } from '../scenario/run-scenario.ts';
import { COSTS, type Cost, keptSeeds, scenarioNames, SWARM } from '../scenario/scenario-files.ts';
import { type Job, replayCommand } from './job.ts';
import { JobPool } from './job-pool.ts';

/** Seeds that every scenario file is run with, besides a fresh one. */
const FIXED_SEEDS = [1, 2] as const;
/** A campaign ends early after so many failures. */
const FAILURES_MAX = 10;

/** What a campaign came to. */
export interface CampaignReport {
  readonly runs: number;
  readonly reads: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly failures: readonly { readonly job: Job; readonly result: RunResult }[];
}

/** The scenario files of these folders with fixed seeds, those kept with them, and a fresh one. */
export function* fileJobs(costs: readonly Cost[], freshSeed: number): Generator<Job> {
  for (const cost of costs) {
    for (const scenario of scenarioNames(cost)) {
      const seeds = new Set([...FIXED_SEEDS, ...keptSeeds(scenario), freshSeed]);
      for (const seed of seeds) yield { scenario, seed, canary: undefined };
    }
  }
}

/** All folders. */
export function allFileJobs(freshSeed: number): Generator<Job> {
  return fileJobs(COSTS, freshSeed);
}

/**
 * Seeds of the swarm, one after the other, as long as `goesOn` says so.
 *
 * @param twiceEvery - one in so many is run twice
 */
export function* swarmJobs(
  firstSeed: number,
  goesOn: (count: number) => boolean,
  twiceEvery = 1,
): Generator<Job> {
  for (let count = 0; goesOn(count); count += 1) {
    const isOnce = count % twiceEvery !== 0;
    yield { scenario: SWARM, seed: (firstSeed + count) >>> 0, canary: undefined, isOnce };
  }
}

/** Runs jobs on `threads` threads. @param say - gets a text for each failure */
export async function runCampaign(
  jobs: Iterator<Job>,
  threads: number,
  say: (text: string) => void,
): Promise<CampaignReport> {
  const pool = new JobPool(threads);
  const failures: { job: Job; result: RunResult }[] = [];
  let runs = 0;
  let reads = 0;
  let events = 0;
  let virtualMs = 0;
  try {
    await pool.run(jobs, (job, result) => {
      runs += 1;
      reads += result.reads;
      events += result.events;
      virtualMs += result.virtualMs;
      if (result.violations.length === 0) return true;
      failures.push({ job, result });
      say(failureText(job, result));
      return failures.length < FAILURES_MAX;
    });
  } finally {
    await pool.close();
  }
  return { runs, reads, events, virtualMs, failures };
}

function failureText(job: Job, { violations }: RunResult): string {
  const lines = violations.slice(0, 3).map(({ check, text }) => `  ${check}: ${text}`);
  const more = violations.length > 3 ? [`  … and ${violations.length - 3} more`] : [];
  return [
    `FAILED ${job.scenario} seed ${job.seed}`,
    ...lines,
    ...more,
    `  ${replayCommand(job)}`,
  ].join('\n');
}
