import { loadScenario, scenarioNames } from '../scenario/scenario-files.ts';
import type { RunResult } from '../scenario/run-scenario.ts';
import type { JobPool } from './job-pool.ts';

/** What a scenario came to with several seeds. */
export interface ScenarioRow {
  readonly name: string;
  readonly about: string;
  readonly seeds: number;
  readonly reads: number;
  readonly failed: number;
  /** The longest read of all seeds. */
  readonly stallMs: number;
  /** The longest that nodes took to agree after the last fault. */
  readonly agreedMs: number;
}

/** Runs each scenario of the `fast` folder with seeds 1 … `seeds`. */
export async function scenarioTable(pool: JobPool, seeds: number): Promise<ScenarioRow[]> {
  const results = new Map<string, RunResult[]>();
  await pool.run(jobsOf(seeds), ({ scenario }, result) => {
    results.set(scenario, [...(results.get(scenario) ?? []), result]);
    return true;
  });
  return scenarioNames('fast').map((name) => rowOf(name, results.get(name) ?? []));
}

/** The table as Markdown. */
export function tableText(rows: readonly ScenarioRow[]): string {
  const head = [
    '| scenario | what happens | reads | failed | longest read, ms | agreement, ms |',
    '| --- | --- | --: | --: | --: | --: |',
  ];
  const lines = rows.map(({ name, about, reads, failed, stallMs, agreedMs }) => {
    const numbers = [reads, failed, Math.round(stallMs), Math.round(agreedMs)];
    return `| \`${name.slice('fast/'.length)}\` | ${about} | ${numbers.join(' | ')} |`;
  });
  return [...head, ...lines].join('\n');
}

function* jobsOf(seeds: number) {
  for (const scenario of scenarioNames('fast')) {
    for (let seed = 1; seed <= seeds; seed += 1) yield { scenario, seed, canary: undefined };
  }
}

function rowOf(name: string, results: readonly RunResult[]): ScenarioRow {
  const most = (values: readonly number[]) => Math.max(0, ...values);
  return {
    name,
    about: loadScenario(name, 1).about,
    seeds: results.length,
    reads: results.reduce((sum, { reads }) => sum + reads, 0),
    failed: results.filter(({ violations }) => violations.length > 0).length,
    stallMs: most(results.map(({ longestMs }) => longestMs)),
    agreedMs: most(results.map(({ agreedMs }) => agreedMs ?? Number.POSITIVE_INFINITY)),
  };
}
