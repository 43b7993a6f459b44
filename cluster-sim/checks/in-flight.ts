import { DEFAULT_POOL } from '../../src/peer/connection-pool.ts';
import type { Timer } from '../../src/runtime/clock.ts';
import type { Cluster } from '../node/cluster.ts';
import type { SimNode } from '../node/sim-node.ts';
import type { Violation } from './violation.ts';

const LOOK_MS = 100;

/** Looks at all nodes ten times a second of virtual time: everything has its bound. */
export class InFlightWatch {
  readonly violations: Violation[] = [];
  readonly #cluster: Cluster;
  #timer: Timer | undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  begin(): void {
    this.#timer = this.#cluster.world.after(LOOK_MS, () => {
      for (const node of this.#cluster.up) this.#look(node);
      this.begin();
    });
  }

  end(): void {
    this.#timer?.cancel();
  }

  #look(node: SimNode): void {
    const { process } = node;
    if (process === undefined || this.violations.length > 0) return;
    const { nodes, settings } = this.#cluster;
    const { memory, disk } = process.cache;
    const sockets = node.machine.process?.sockets ?? new Set();
    // Each pair of nodes has a pool in both directions, and as many that are just being closed.
    const socketsMax = 4 * nodes.length * DEFAULT_POOL.connectionsPerPeer;
    const bounds: readonly (readonly [string, number, number])[] = [
      ['bytes cached in memory', memory.usage().usedBytes, settings.memoryBytes],
      ['bytes cached on disk', disk?.usage().usedBytes ?? 0, settings.diskBytes],
      ['requests of one peer served at once', process.served.mostOfOne, settings.requestsPerPeer],
      ['sockets', sockets.size, socketsMax],
    ];
    for (const [what, value, most] of bounds) {
      if (value <= most) continue;
      const at = this.#cluster.world.nowMs.toFixed(0);
      const text = `node ${node.number} has ${value} ${what} at ${at} ms, limit ${most}`;
      this.violations.push({ check: 'everything is bounded', text });
    }
  }
}
