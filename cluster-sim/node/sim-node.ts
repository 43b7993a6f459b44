import type { NodeId } from '../../src/block/node-id.ts';
import type { Machine } from '../network/machine.ts';
import { SimDisk } from '../disk/sim-disk.ts';
import { NodeTime } from '../world/node-time.ts';
import type { Cluster } from './cluster.ts';
import { nodeIdOf } from './node-ids.ts';
import { NodeProcess } from './node-process.ts';

/** Monotonic clocks of machines begin anywhere. */
const START_MS_MAX = 1_000_000;

/** A machine with its disk, and the daemon that runs there at present. */
export class SimNode {
  readonly number: number;
  readonly id: NodeId;
  readonly disk: SimDisk;
  readonly machine: Machine;
  readonly #cluster: Cluster;
  #process: NodeProcess | undefined;
  #starts = 0;
  #weight = 100;

  constructor(cluster: Cluster, machine: Machine) {
    this.#cluster = cluster;
    this.machine = machine;
    this.number = machine.number;
    this.id = nodeIdOf(machine.number);
    this.disk = new SimDisk(cluster.world, String(machine.number));
  }

  /** The running daemon; undefined while there is none. */
  get process(): NodeProcess | undefined {
    return this.#process;
  }

  /** Whether its daemon runs (paused or not) and has begun to take part. */
  get isUp(): boolean {
    return this.#process?.isReady === true;
  }

  /** Whether its daemon runs and is not paused. */
  get isRunning(): boolean {
    return this.isUp && this.#process?.time.isRunning === true;
  }

  /** Its share of the blocks. */
  get weight(): number {
    return this.#weight;
  }

  /** Starts a daemon; resolves when it takes part. */
  async start(): Promise<void> {
    const { world } = this.#cluster;
    this.#starts += 1;
    this.machine.isPowered = true;
    const random = world.random.fork(`process ${this.number}/${this.#starts}`);
    const time = new NodeTime(world, random.between(0, START_MS_MAX));
    const process = new NodeProcess(this.#cluster, this, { time, random });
    this.#process = process;
    world.trace.note('start', this.number);
    await process.start();
  }

  /** The daemon ends in order. */
  async stop(): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    this.#cluster.world.trace.note('stop', this.number);
    await process.stop();
    if (this.#process === process) this.#gone('killed');
  }

  /** The daemon ends at once: killed, or with the power of its machine. */
  crash(how: 'killed' | 'power'): void {
    if (this.#process === undefined) return;
    this.#cluster.world.trace.note(`crash ${how}`, this.number);
    if (how === 'power') this.disk.losePower();
    this.#gone(how);
  }

  /** Changes its share of the blocks, now and after a restart. */
  setWeight(weight: number): void {
    this.#weight = weight;
    this.#process?.setWeight(weight);
  }

  #gone(how: 'killed' | 'power'): void {
    this.#process?.onGone();
    this.machine.end(how);
    this.#process = undefined;
  }
}
