import type { Planting } from './planting.ts';

/** A bug that the checks have to find. */
export interface Canary {
  /** What is wrong. */
  readonly about: string;
  /** Scenario that it is looked for in; default: the swarm. */
  readonly scenario?: string;
  /** Only a second run of the same seed shows it. */
  readonly isOfChance?: boolean;
  /** Plants it. @returns the places between parts, and what takes the rest out again */
  plant(): { readonly planting: Planting; readonly uproot: () => void };
}
