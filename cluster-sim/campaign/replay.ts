import { loadScenario } from '../scenario/scenario-files.ts';
import type { RunResult } from '../scenario/run-scenario.ts';
import { SHRINK_TRIES_MAX, shrinkScenario } from '../scenario/shrink.ts';
import { SimStock } from '../world/sim-stock.ts';
import { type Job, runJob, runOnce, SAME_TRACE } from './job.ts';

/** How a job is run again. */
export interface ReplayOptions {
  /** Every line of the trace is said, too. */
  readonly isTraced: boolean;
  /** Smaller scenarios that are tried at most. */
  readonly triesMax?: number;
}

/** Runs a job again, says what happens, and looks for the smallest scenario that fails likewise. */
export async function replay(
  job: Job,
  { isTraced, triesMax = SHRINK_TRIES_MAX }: ReplayOptions,
  say: (text: string) => void,
): Promise<RunResult> {
  const stock = new SimStock();
  const scenario = loadScenario(job.scenario, job.seed);
  const result = await runJob(job, { stock, scenario, onLine: isTraced ? say : undefined });
  const { hash, violations, events, reads, virtualMs } = result;
  const seconds = (virtualMs / 1000).toFixed(1);
  say(`hash ${hash}: ${events} events, ${reads} reads in ${seconds} virtual seconds`);
  const [first] = violations;
  if (first === undefined) {
    say('nothing is wrong');
    return result;
  }
  if (!isTraced) for (const line of result.tail) say(line);
  for (const { check, text } of violations) say(`VIOLATION ${check}: ${text}`);
  const isOfChance = first.check === SAME_TRACE;
  if (isOfChance) await tellDifference(job, stock, say);
  const again = { ...job, isOnce: !isOfChance };
  const fails = async (smaller: typeof scenario) => {
    const { violations: found } = await runJob(again, { stock, scenario: smaller });
    return found.some(({ check }) => check === first.check);
  };
  const shrunk = await shrinkScenario(scenario, fails, triesMax);
  say(`the smallest scenario found that fails likewise (after ${shrunk.runs} runs):`);
  say(JSON.stringify(shrunk.scenario, undefined, 2));
  return result;
}

/** Where the traces of two runs part. */
async function tellDifference(
  job: Job,
  stock: SimStock,
  say: (text: string) => void,
): Promise<void> {
  const traces: string[][] = [[], []];
  for (const trace of traces) {
    await runOnce(job, { stock, onLine: (line) => void trace.push(line) });
  }
  const [one = [], other = []] = traces;
  const at = one.findIndex((line, index) => line !== other[index]);
  if (at < 0) say('what is traced is the same this time');
  else say(`the traces part at line ${at + 1}:\n< ${one[at]}\n> ${other[at] ?? 'the end'}`);
}
