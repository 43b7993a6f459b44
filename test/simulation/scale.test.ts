import { expect, it } from 'vitest';
import { GroupScaleRun } from '../../cluster-sim/scale/group-scale.ts';
import { JobStartRun } from '../../cluster-sim/scale/job-start.ts';
import { WarmUpRun } from '../../cluster-sim/scale/warm-up-scale.ts';

const SEED = 1;
const NODES = 16;

it('a group sees who joins, who falls silent and who is back within seconds, and costs little at rest', async () => {
  const group = await new GroupScaleRun(NODES, SEED).run();
  expect(group.joinMs).toBeGreaterThan(0);
  expect(group.joinMs).toBeLessThanOrEqual(1_000);
  expect(group.deathMs).toBeLessThanOrEqual(5_000);
  expect(group.returnMs).toBeGreaterThan(0);
  expect(group.returnMs).toBeLessThanOrEqual(5_000);
  expect(group.restBytesPerSecond).toBeLessThanOrEqual(2_000);
});

it('a job start of all nodes reads each byte once from the origin, and is no slower than its link', async () => {
  const job = await new JobStartRun(NODES, 1e9, SEED).run();
  expect(job.originBytes).toBe(job.datasetBytes);
  expect(job.tookMs).toBeLessThan(job.aloneMs);
  // 100 Gb/s.
  expect(job.tookMs).toBeGreaterThanOrEqual(job.datasetBytes / 12_500_000);
});

it('a warm-up reaches every block, as fast as the origin sends', async () => {
  const warmUp = await new WarmUpRun(NODES, SEED).run();
  expect(warmUp.blocks).toBe(100 * NODES);
  expect(warmUp.tookMs).toBeGreaterThanOrEqual(warmUp.originMs);
  expect(warmUp.tookMs).toBeLessThan(warmUp.originMs + 1_000);
  expect(warmUp.messages).toBeLessThan(warmUp.blocks);
});
