import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { checkScenarioFile } from './check-scenario.ts';
import { completeScenario, type Scenario, type ScenarioFile } from './scenario.ts';
import { swarmScenario } from './swarm.ts';

const FOLDER = new URL('../scenarios/', import.meta.url);
/** The name by which a scenario that is drawn from the seed is asked for. */
export const SWARM = 'swarm';

/** Scenario files by what they cost: `fast` ones run with each `npm test`. */
export const COSTS = ['fast', 'slow', 'regression'] as const;

/** One of {@link COSTS}. */
export type Cost = (typeof COSTS)[number];

/** The names of the scenarios in a folder, by name; none when there is no such folder yet. */
export function scenarioNames(cost: Cost): string[] {
  const folder = new URL(`${cost}/`, FOLDER);
  // A repository has no empty folders.
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => `${cost}/${file.slice(0, -'.json'.length)}`)
    .sort();
}

/**
 * @param name - `fast/owner-killed` for a file, `swarm` for one drawn from the seed, or the path of
 *   any other file, ending in `.json`
 * @throws the system's error when there is no such file; SyntaxError when it is no JSON; TypeError
 *   naming the field that makes no sense
 */
export function loadScenario(name: string, seed: number): Scenario {
  return name === SWARM ? swarmScenario(seed) : completeScenario(readScenario(name));
}

/** Seeds that are kept with a scenario file: each of them once showed something. @throws as above */
export function keptSeeds(name: string): readonly number[] {
  return readScenario(name).seeds ?? [];
}

function readScenario(name: string): ScenarioFile {
  const file = name.endsWith('.json') ? name : new URL(`${name}.json`, FOLDER);
  const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
  checkScenarioFile(content, name);
  return content;
}
