import type { Cluster } from '../node/cluster.ts';
import { beginFault } from './begin-fault.ts';
import type { Fault } from './fault.ts';
import type { StrangerReport } from './stranger.ts';

/** Begins and ends the faults of a scenario at their times. */
export class FaultSchedule {
  readonly strangers: StrangerReport[] = [];
  readonly #cluster: Cluster;
  readonly #faults: readonly Fault[];
  #startMs = 0;

  constructor(cluster: Cluster, faults: readonly Fault[]) {
    this.#cluster = cluster;
    this.#faults = faults;
  }

  /** Virtual time from which something may be wrong; infinite without faults. */
  get firstMs(): number {
    const first = Math.min(...this.#faults.map(({ atMs }) => atMs), Number.POSITIVE_INFINITY);
    return this.#startMs + first;
  }

  /** Runs all of them, from now on; resolves when the last one has ended. */
  async run(): Promise<void> {
    const { world } = this.#cluster;
    this.#startMs = world.nowMs;
    await Promise.all(this.#faults.map((fault) => this.#one(fault)));
  }

  async #one(fault: Fault): Promise<void> {
    const { world } = this.#cluster;
    await world.sleep(fault.atMs);
    world.trace.note('fault begins', fault.kind);
    const end = beginFault(this.#cluster, fault, this.strangers);
    await world.sleep(fault.forMs);
    end();
    world.trace.note('fault ends', fault.kind);
  }
}
