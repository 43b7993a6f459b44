import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { JobPool } from '../../cluster-sim/campaign/job-pool.ts';

const SEEDS = [3, 4, 5];
/** With the threads of the simulation more than a small machine has cores. */
const HOGS = 2;
const HOG = 'for (let spun = 0; ; spun = (spun + 1) % 1e6) Math.sqrt(spun);';

/** Hashes by seed; the threads take the seeds as they come. */
async function hashesOf(seeds: readonly number[], threads: number): Promise<Map<number, string>> {
  const pool = new JobPool(threads);
  const hashes = new Map<number, string>();
  const jobs = seeds.map((seed) => ({ scenario: 'swarm', seed, canary: undefined, isOnce: true }));
  try {
    await pool.run(jobs.values(), ({ seed }, { hash }) => {
      hashes.set(seed, hash);
      return true;
    });
  } finally {
    await pool.close();
  }
  return hashes;
}

it('a seed gives the same trace alone and beside programs that take all CPU, after whatever other seeds', async () => {
  const alone = await hashesOf(SEEDS, 1);
  const hogs = Array.from({ length: HOGS }, () => new Worker(HOG, { eval: true }));
  try {
    const beside = await hashesOf([11, ...SEEDS.toReversed()], 2);
    beside.delete(11);
    expect(Object.fromEntries(beside)).toEqual(Object.fromEntries(alone));
    expect(new Set(alone.values()).size).toBe(SEEDS.length);
  } finally {
    await Promise.all(hogs.map((hog) => hog.terminate()));
  }
});
