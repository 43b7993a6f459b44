import type { NetworkConnection } from '../../src/peer/network.ts';
import type { NodeTime } from '../world/node-time.ts';
import type { SimControl } from './sim-control.ts';
import type { SimSocket } from './sim-socket.ts';

/** What a process has of its machine's network. */
export interface NetProcess {
  readonly time: NodeTime;
  readonly listeners: Map<number, (connection: NetworkConnection) => void>;
  readonly sockets: Set<SimSocket>;
  control: SimControl | undefined;
}

/** A machine on the network: one address, and the process that runs there at present. */
export class Machine {
  readonly number: number;
  readonly ip: string;
  /** Without power it answers nothing, not even that nobody listens. */
  isPowered = true;
  process: NetProcess | undefined;

  /** @param number - 0 … 65,535 */
  constructor(number: number) {
    this.number = number;
    this.ip = `10.77.${number >> 8}.${number & 255}`;
  }

  /** A process begins. */
  begin(time: NodeTime): NetProcess {
    this.process = { time, listeners: new Map(), sockets: new Set(), control: undefined };
    return this.process;
  }

  /** The process is gone; with `power` the kernel closes its sockets, without nobody says anything. */
  end(how: 'killed' | 'power'): void {
    const { process } = this;
    this.process = undefined;
    process?.time.end();
    if (how === 'power') this.isPowered = false;
    for (const socket of process?.sockets ?? []) {
      if (how === 'power') socket.vanish();
      else socket.killed();
    }
    if (how === 'killed') process?.control?.killed();
  }
}

/** All machines by number and by address. */
export class Machines {
  readonly #byIp = new Map<string, Machine>();
  readonly #all: Machine[] = [];

  /** Adds the next one. */
  add(): Machine {
    const machine = new Machine(this.#all.length);
    this.#all.push(machine);
    this.#byIp.set(machine.ip, machine);
    return machine;
  }

  /** @returns undefined when there is none of this address */
  at(ip: string): Machine | undefined {
    return this.#byIp.get(ip);
  }
}
