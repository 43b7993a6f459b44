import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CanaryReport, huntCanaries } from '../../cluster-sim/campaign/canary-hunt.ts';
import { JobPool } from '../../cluster-sim/campaign/job-pool.ts';
import { CANARIES } from '../../cluster-sim/canaries/all-canaries.ts';

const THREADS = 2;
const FIRST_SEED = 1;

describe('bugs that are planted in the simulated cluster', () => {
  const reports = new Map<string, CanaryReport>();
  const pool = new JobPool(THREADS);

  beforeAll(async () => {
    await huntCanaries(pool, FIRST_SEED, (report) => void reports.set(report.name, report));
  }, 280_000);

  afterAll(() => pool.close());

  it.each([...CANARIES.keys()])('are found: %s', (name) => {
    expect(reports.get(name)?.found).toBeDefined();
  });
});
