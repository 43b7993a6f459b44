/** Simulated clusters with faults: `npm run sim`. @see HELP in options.ts */
import { writeFileSync } from 'node:fs';
import { type CampaignReport, allFileJobs, runCampaign, swarmJobs } from './campaign/campaign.ts';
import { huntCanaries } from './campaign/canary-hunt.ts';
import type { Job } from './campaign/job.ts';
import { JobPool } from './campaign/job-pool.ts';
import { replay } from './campaign/replay.ts';
import { scenarioTable, tableText } from './campaign/scenario-table.ts';
import { measureScale } from './scale/measure-scale.ts';
import { scalePicture, scaleTable } from './scale/scale-picture.ts';
import { HELP, parseOptions, type SimOptions } from './options.ts';

const MINUTE_MS = 60_000;

const options = readOptions();
if (options === 'help') console.log(HELP);
else process.exitCode = options === undefined ? 2 : await run(options);

/** @returns undefined when the command line makes no sense, which is said */
function readOptions(): SimOptions | 'help' | undefined {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return undefined;
  }
}

/** @returns the exit code */
async function run(asked: SimOptions): Promise<number> {
  const seed = asked.seed ?? Date.now() % 2 ** 31;
  if (asked.replay !== undefined) {
    const job = { scenario: asked.replay, seed, canary: asked.canary };
    const { violations } = await replay(job, { isTraced: asked.trace }, console.log);
    return violations.length === 0 ? 0 : 1;
  }
  if (asked.canaries) return await hunt(asked, seed);
  if (asked.scale !== undefined) return await printScale(asked.scale);
  if (asked.table !== undefined) return await printTable(asked.table, asked.threads);
  const startMs = performance.now();
  const report = await runCampaign(jobsOf(asked, seed), asked.threads, console.log);
  const seconds = (performance.now() - startMs) / 1000;
  console.log(summaryOf(report, { seed, seconds, twiceEvery: asked.twiceEvery }));
  return report.failures.length === 0 ? 0 : 1;
}

/** Writes the picture, too. @returns 0 */
async function printScale(sizes: readonly number[]): Promise<number> {
  const rows = await measureScale(sizes, (row) => console.log(JSON.stringify(row)));
  console.log(scaleTable(rows));
  writeFileSync(new URL('../docs/scale.svg', import.meta.url), scalePicture(rows));
  return 0;
}

/** @returns 0 when no seed failed */
async function printTable(seeds: number, threads: number): Promise<number> {
  const pool = new JobPool(threads);
  try {
    const rows = await scenarioTable(pool, seeds);
    console.log(tableText(rows));
    return rows.every(({ failed }) => failed === 0) ? 0 : 1;
  } finally {
    await pool.close();
  }
}

/** @returns 0 when each planted bug was found */
async function hunt({ threads }: SimOptions, seed: number): Promise<number> {
  const pool = new JobPool(threads);
  let missed = 0;
  try {
    await huntCanaries(pool, seed, ({ name, about, seeds, found }) => {
      if (found === undefined) missed += 1;
      const how =
        found === undefined ? 'NOT FOUND' : `seed ${seeds}: ${found.check}: ${found.text}`;
      console.log(`${name} (${about})\n  ${how}`);
    });
  } finally {
    await pool.close();
  }
  return missed;
}

function* jobsOf(asked: SimOptions, seed: number): Generator<Job> {
  for (const job of plainJobsOf(asked, seed)) yield { ...job, canary: asked.canary };
}

function* plainJobsOf({ minutes, seeds, twiceEvery }: SimOptions, seed: number): Generator<Job> {
  if (minutes !== undefined) {
    const endMs = performance.now() + minutes * MINUTE_MS;
    yield* swarmJobs(seed, () => performance.now() < endMs, twiceEvery);
    return;
  }
  // A part of the seeds is for many of them: the files, each seed twice, are run without it.
  if (twiceEvery === 1) yield* allFileJobs(seed);
  yield* swarmJobs(seed, (count) => count < seeds, twiceEvery);
}

function summaryOf(
  report: CampaignReport,
  { seed, seconds, twiceEvery }: { seed: number; seconds: number; twiceEvery: number },
): string {
  const { runs, reads, virtualMs, failures } = report;
  const hours = (virtualMs / 3_600_000).toFixed(1);
  const twice = twiceEvery === 1 ? 'each run twice' : `one in ${twiceEvery} run twice`;
  const rate = (runs / seconds).toFixed(1);
  return (
    `${runs} seeds from ${seed}, ${twice}, in ${seconds.toFixed(0)} s (${rate} a second): ` +
    `${reads} reads in ${hours} virtual hours, ${failures.length} failed`
  );
}
