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
import type { SimStock } from '../world/sim-stock.ts';
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

/** What a scenario is run with. */
export interface RunParts {
  /** Bugs that are planted to see whether the checks find them. */
  readonly planting: Planting;
  readonly stock: SimStock;
  /** Gets each line of the trace. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** Runs a scenario once. */
export async function runScenario(
  scenario: Scenario,
  seed: number,
  parts: RunParts,
): Promise<RunResult> {
  const { onLine } = parts;
  return await new ScenarioRun(scenario, new World(seed, { onLine }), parts).run();
}

class ScenarioRun {
  readonly #scenario: Scenario;
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #log: ReadLog;
  readonly #faults: FaultSchedule;
  readonly #watch: InFlightWatch;
  readonly #violations: Violation[] = [];
  /** How long agreement took after the last fault, and since when the ring is stable again. */
  #agreedMs: number | undefined;
  #stableFromMs = Number.POSITIVE_INFINITY;

  constructor(scenario: Scenario, world: World, parts: RunParts) {
    this.#scenario = scenario;
    this.#world = world;
    this.#cluster = new Cluster(world, scenario, parts);
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
    const hasStarted = await this.#phase('start', this.#startAll(), START_LIMIT_MS);
    if (hasStarted && (await this.#agreed('first agreement')) !== undefined) {
      this.#watch.begin();
      await this.#loaded();
      this.#watch.end();
    }
    this.#violations.push(...this.#watch.violations);
    this.#violations.push(...checkReads(this.#log, this.#scenario.checks));
    const { firstMs } = this.#faults;
    const stable = { untilMs: firstMs, againFromMs: this.#stableFromMs };
    this.#violations.push(...checkFetches(this.#cluster, stable, this.#scenario.checks));
    this.#violations.push(...checkStrangers(this.#faults.strangers));
    const bugs = this.#world.bugs.map((text) => ({ check: 'no exceptions', text }));
    this.#violations.push(...bugs);
    return this.#result();
  }

  async #loaded(): Promise<void> {
    const { settleMsMax } = this.#scenario.checks;
    const load = this.#load();
    if (!(await this.#phase('faults', this.#faults.run(), LOAD_LIMIT_MS))) return;
    const loadEndMs = this.#world.nowMs + this.#loadMsMax() + settleMsMax;
    // While the load goes on: who only waits for its end waits longer than for the group.
    this.#agreedMs = await this.#agreed('agreement');
    if (this.#agreedMs === undefined) return;
    this.#stableFromMs = this.#world.nowMs;
    if (!(await this.#phase('load', load, loadEndMs - this.#world.nowMs))) return;
    // A node may have passed another one over for a moment; it does not stay so.
    if ((await this.#agreed('agreement again')) === undefined) return;
    if (!(await this.#phase('last reads', this.#lastReads(), settleMsMax))) return;
    const end = checkEnd(this.#cluster);
    if (await this.#phase('end', end, settleMsMax)) this.#violations.push(...(await end));
  }

  /** @returns how long it took until all nodes saw the same group; undefined when they did not */
  async #agreed(
    name: string,
    limitMs = this.#scenario.checks.agreeMsMax,
  ): Promise<number | undefined> {
    const agreement = checkAgreement(this.#cluster, limitMs);
    if (!(await this.#phase(name, agreement, limitMs + 1_000))) return undefined;
    const { tookMs, violations } = await agreement;
    this.#violations.push(...violations);
    return tookMs;
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
