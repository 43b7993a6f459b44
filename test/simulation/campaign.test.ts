import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { fileJobs, runCampaign, swarmJobs } from '../../cluster-sim/campaign/campaign.ts';

const THREADS = 2;
/** Seeds that are the same in each run, and so many that nobody has run before. */
const FIXED_SEEDS = 40;
const FRESH_SEEDS = 40;

/** Every failure says which command shows it again. */
async function failuresOf(jobs: Parameters<typeof runCampaign>[0]): Promise<string[]> {
  const failures: string[] = [];
  await runCampaign(jobs, THREADS, (text) => failures.push(text));
  return failures;
}

/**
 * New for each commit: what CI finds, its author can see before he pushes. With changes that are not
 * committed, or without git, new each time.
 */
function newSeed(): number {
  try {
    const git = (...words: string[]) =>
      execFileSync('git', words, { encoding: 'utf8', stdio: 'pipe' });
    if (git('status', '--porcelain').trim() === '') {
      return Number.parseInt(git('rev-parse', 'HEAD').slice(0, 8), 16) % 2 ** 31;
    }
  } catch {
    // Not a checkout.
  }
  return Date.now() % 2 ** 31;
}

describe('clusters with faults, simulated', () => {
  const freshSeed = newSeed();

  it('keep what they promise in the scenarios that run each time', async () => {
    expect(await failuresOf(fileJobs(['fast', 'regression'], freshSeed))).toEqual([]);
  });

  it('keep what they promise with seeds that are the same each time', async () => {
    expect(await failuresOf(swarmJobs(1, (count) => count < FIXED_SEEDS))).toEqual([]);
  });

  it('keep what they promise with seeds that nobody has tried', async () => {
    expect(await failuresOf(swarmJobs(freshSeed, (count) => count < FRESH_SEEDS))).toEqual([]);
  });
});
