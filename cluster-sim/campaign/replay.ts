import { loadScenario } from '../scenario/scenario-files.ts';
import { type RunResult, runScenario } from '../scenario/run-scenario.ts';
import { shrinkScenario } from '../scenario/shrink.ts';
import { type Job, withBug } from './job.ts';

/** Runs a job again, says what happens, and looks for the smallest scenario that fails likewise. */
export async function replay(
  job: Job,
  isTraced: boolean,
  say: (text: string) => void,
): Promise<RunResult> {
  const { seed } = job;
  const scenario = loadScenario(job.scenario, seed);
  const onLine = isTraced ? say : undefined;
  const result = await withBug(job, (planting) => runScenario(scenario, seed, planting, onLine));
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
  const shrunk = await shrinkScenario(scenario, async (smaller) => {
    const again = await withBug(job, (planting) => runScenario(smaller, seed, planting));
    return again.violations.some(({ check }) => check === first.check);
  });
  say(`the smallest scenario found that fails likewise (after ${shrunk.runs} runs):`);
  say(JSON.stringify(shrunk.scenario, undefined, 2));
  return result;
}
