import { checkAgreement } from '../checks/agreement.ts';
import { checkEnd } from '../checks/end-state.ts';
import { checkFetches } from '../checks/fetches.ts';
import { InFlightWatch } from '../checks/in-flight.ts';
import { checkReads } from '../checks/reads.ts';
import { checkStrangers } from '../checks/strangers.ts';
import type { Violation } from '../checks/violation.ts';
import type { Planting } from '../canaries/planting.ts';
import { FaultSchedule } from '../faults/fault-schedule.ts';
import { ReadLog } from '../load/read-log.ts';
import { Reader } from '../load/reader.ts';
import { warmVolume } from '../load/warm-up.ts';
import { Cluster } from '../node/cluster.ts';
import { World } from '../world/world.ts';
import type { Scenario } from './scenario.ts';

/** A simulation that runs longer in virtual time hangs. */
const LOAD_LIMIT_MS = 600_000;
/** Joining takes up to 3 s when somebody is out of reach. */
const START_LIMIT_MS = 60_000;

/** What came of one run. */
export interface RunResult {
  readonly scenario: string;
  readonly seed: number;
  readonly hash: string;
  readonly violations: readonly Violation[];
  /** The end of the trace. */
  readonly tail: readonly string[];
  readonly events: number;
  readonly virtualMs: number;
  readonly reads: number;
  readonly longestMs: number;
  readonly originFetches: number;
  /** Until all nodes agreed, after the last fault; undefined when they never did. */
  readonly agreedMs: number | undefined;
}

/** Runs a scenario once. @param onLine - gets each line of the trace */
export async function runScenario(
  scenario: Scenario,
  seed: number,
  planting: Planting,
  onLine?: (line: string) => void,
): Promise<RunResult> {
  return await new ScenarioRun(scenario, new World(seed, onLine), planting).run();
}

class ScenarioRun {
  readonly #scenario: Scenario;
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #log: ReadLog;
  readonly #faults: FaultSchedule;
  readonly #watch: InFlightWatch;
  readonly #violations: Violation[] = [];
  #agreedMs: number | undefined;

  constructor(scenario: Scenario, world: World, planting: Planting) {
    this.#scenario = scenario;
    this.#world = world;
    this.#cluster = new Cluster(world, scenario, planting);
    this.#log = new ReadLog(world);
    this.#faults = new FaultSchedule(this.#cluster, scenario.faults);
    this.#watch = new InFlightWatch(this.#cluster);
  }

  /** Once. */
  async run(): Promise<RunResult> {
    try {
      return await this.#run();
    } finally {
      this.#cluster.close();
    }
  }

  async #run(): Promise<RunResult> {
    if ((await this.#phase('start', this.#startAll(), START_LIMIT_MS)) && (await this.#agreed())) {
      this.#watch.begin();
      await this.#loaded();
      this.#watch.end();
    }
    this.#violations.push(...this.#watch.violations);
    this.#violations.push(...checkReads(this.#log, this.#scenario.checks));
    this.#violations.push(...checkFetches(this.#cluster, this.#faults, this.#scenario.checks));
    this.#violations.push(...checkStrangers(this.#faults.strangers));
    const bugs = this.#world.bugs.map((text) => ({ check: 'no exceptions', text }));
    this.#violations.push(...bugs);
    return this.#result();
  }

  async #loaded(): Promise<void> {
    const { checks } = this.#scenario;
    const load = this.#load();
    const faults = this.#faults.run();
    if (!(await this.#phase('faults', faults, LOAD_LIMIT_MS))) return;
    if (!(await this.#phase('load', load, this.#loadMsMax() + checks.settleMsMax))) return;
    if (!(await this.#agreed())) return;
    if (!(await this.#phase('last reads', this.#lastReads(), checks.settleMsMax))) return;
    const end = checkEnd(this.#cluster);
    if (await this.#phase('end', end, checks.settleMsMax)) this.#violations.push(...(await end));
  }

  /** @returns whether all nodes came to see the same group */
  async #agreed(): Promise<boolean> {
    const { agreeMsMax } = this.#scenario.checks;
    const agreement = checkAgreement(this.#cluster, agreeMsMax);
    if (!(await this.#phase('agreement', agreement, agreeMsMax + 1_000))) return false;
    const { tookMs, violations } = await agreement;
    this.#agreedMs = tookMs;
    this.#violations.push(...violations);
    return tookMs !== undefined;
  }

  /** @returns whether it came to its end */
  async #phase(name: string, work: Promise<unknown>, limitMs: number): Promise<boolean> {
    const outcome = await this.#world.run(work, this.#world.nowMs + limitMs);
    this.#world.trace.note('phase', name, outcome);
    if (outcome === 'done') {
      // What the phase threw is a bug of the code, or of the simulation.
      await work.catch((error: unknown) => this.#world.bug(error));
      return this.#world.bugs.length === 0;
    }
    const open = this.#log.running.map(({ node, block }) => `${block} on node ${node}`);
    const text = `${name}: not over after ${limitMs} ms (${outcome}); open reads: ${open.join(', ')}`;
    this.#violations.push({ check: 'everything ends', text });
    return false;
  }

  async #startAll(): Promise<void> {
    const { startGapMs } = this.#scenario;
    const starts = this.#cluster.nodes.map(async (node) => {
      await this.#world.sleep(node.number * startGapMs);
      await node.start();
    });
    await Promise.all(starts);
  }

  async #load(): Promise<void> {
    const { load } = this.#scenario;
    const running: Promise<void>[] = [];
    if (load.warm) running.push(warmVolume(this.#cluster, this.#scenario, this.#violations));
    for (const reader of this.#readers(load.readersPerNode)) running.push(reader.run(load));
    await Promise.all(running);
  }

  /** Without any fault the load takes so long at most. */
  #loadMsMax(): number {
    const { reads, thinkMs } = this.#scenario.load;
    return reads * thinkMs;
  }

  /** Everything is read once more on every node, when all is well again. */
  async #lastReads(): Promise<void> {
    const { keys } = this.#cluster.volume;
    const readers = this.#readers(1);
    const work = readers.map(async (reader, at) => {
      for (let index = at % 2; index < keys.length; index += 2) {
        const key = keys[index];
        if (key !== undefined) await reader.read(key, { offset: 0, length: key.sizeBytes });
      }
    });
    await Promise.all(work);
  }

  #readers(perNode: number): Reader[] {
    return this.#cluster.nodes.flatMap((node) =>
      Array.from({ length: perNode }, (_, number) => {
        return new Reader({ cluster: this.#cluster, node, log: this.#log }, number);
      }),
    );
  }

  #result(): RunResult {
    const { trace, seed, events, nowMs } = this.#world;
    return {
      scenario: this.#scenario.name,
      seed,
      hash: trace.hash,
      violations: this.#violations,
      tail: trace.tail(),
      events,
      virtualMs: nowMs,
      reads: this.#log.reads,
      longestMs: this.#log.longest?.tookMs ?? 0,
      originFetches: this.#cluster.origin.fetches.length,
      agreedMs: this.#agreedMs,
    };
  }
}
