import { describe, expect, it } from 'vitest';
import { JobPool } from '../../cluster-sim/campaign/job-pool.ts';
import { NodeTime } from '../../cluster-sim/world/node-time.ts';
import { World } from '../../cluster-sim/world/world.ts';

const NEVER = new Promise<never>(() => undefined);

describe('a simulation that would not end', () => {
  it('is ended when events follow each other without time passing', async () => {
    const world = new World(1);
    const again = () => void world.after(0, again);
    again();
    expect(await world.run(NEVER, 1_000)).toBe('too many events');
    expect(world.nowMs).toBe(0);
  });

  it('says that a delay was no number, and time goes on', async () => {
    const world = new World(1);
    world.after(Number.NaN, () => undefined);
    expect(await world.run(NEVER, 1_000)).toBe('idle');
    expect(world.bugs).toEqual([expect.stringContaining('not a number')]);
    expect(world.nowMs).toBe(0);
  });

  it('does not come of a wait for what rounding leaves of a time', async () => {
    const world = new World(1);
    const time = new NodeTime(world, 123_456_789.1);
    time.skew({ wallOffsetMs: 0, rate: 1.1 });
    const untilMs = time.nowMs() + 10;
    const wait = () => {
      if (time.nowMs() < untilMs) time.setTimer(Math.min(1e-9, untilMs - time.nowMs()), wait);
    };
    wait();
    expect(await world.run(NEVER, 1_000)).toBe('idle');
    expect(time.nowMs()).toBeGreaterThanOrEqual(untilMs);
  });

  it('is a violation of its seed when its thread hangs, and the campaign goes on', async () => {
    const cpuMsMax = 1;
    const pool = new JobPool(1, cpuMsMax);
    const found: string[] = [];
    const jobs = [1, 2].map((seed) => ({ scenario: 'swarm', seed, canary: undefined }));
    await pool.run(jobs.values(), ({ seed }, { violations }) => {
      found.push(`${seed} ${violations.map(({ check }) => check).join()}`);
      return true;
    });
    await pool.close();
    expect(found).toEqual(['1 everything ends', '2 everything ends']);
  });
});
