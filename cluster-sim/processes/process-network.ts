import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { type Libc, loadLibc } from '../../src/runtime/system/libc.ts';
import { type LinkQuality, LinkRules } from '../network/link-rules.ts';
import { LinkTable } from './link-table.ts';
import type { SwitchData } from './switch-worker.ts';
import { openTunDevice } from './tun-device.ts';

const run = promisify(execFile);
const COMMAND_TIMEOUT_MS = 10_000;
/** Few large packets: the switch pays per packet. */
const MTU_BYTES = 60_000;

/** A place in the network: a namespace with one device and one address. */
export interface NetworkPlace {
  readonly address: string;
  /** Words in front of a command that make it run there. */
  readonly prefix: readonly [string, ...string[]];
}

/**
 * A network of namespaces in which the switch is a thread of ours: packets are late, lost or cut off
 * as the rules say. The last place is the host itself, for the servers that all nodes use.
 */
export class ProcessNetwork {
  readonly rules: LinkRules;
  readonly nodes: readonly NetworkPlace[];
  /** The host's own address in it. */
  readonly hostAddress: string;
  readonly #table: LinkTable;
  readonly #namespaces: string[] = [];
  readonly #descriptors: number[] = [];
  readonly #libc: Libc;
  readonly #stop = new SharedArrayBuffer(4);
  #switch: Worker | undefined;

  private constructor(nodes: number, quality: LinkQuality, libc: Libc) {
    this.#libc = libc;
    this.rules = new LinkRules(quality);
    this.#table = new LinkTable(nodes + 1);
    this.#table.update(this.rules);
    const tag = `${process.pid % 100_000}`;
    // Of 10.0.0.0/8, and one that another run on this machine hardly has.
    const net = `10.${64 + (process.pid % 64)}.${process.pid % 251}`;
    this.hostAddress = `${net}.${nodes + 1}`;
    this.nodes = Array.from({ length: nodes }, (_, index) => {
      const name = `mesh${tag}-${index}`;
      this.#namespaces.push(name);
      return {
        address: `${net}.${index + 1}`,
        prefix: ['nsenter', `--net=/var/run/netns/${name}`],
      };
    });
  }

  /** Needs root. @throws Error naming what the kernel refused */
  static async open(nodes: number, quality: LinkQuality): Promise<ProcessNetwork> {
    const libc = loadLibc();
    if (libc === undefined) throw new Error('a network of namespaces needs Linux and koffi');
    const network = new ProcessNetwork(nodes, quality, libc);
    try {
      await network.#setUp();
    } catch (error) {
      await network.close();
      throw error;
    }
    return network;
  }

  /** The switch sees what the rules say now. */
  apply(): void {
    this.#table.update(this.rules);
  }

  /** Removes namespaces and devices. */
  async close(): Promise<void> {
    if (this.#switch !== undefined) {
      const ended = once(this.#switch, 'exit');
      Atomics.store(new Int32Array(this.#stop), 0, 1);
      await ended;
    }
    for (const descriptor of this.#descriptors) this.#libc.close(descriptor);
    for (const name of this.#namespaces) await ip('netns', 'del', name).catch(() => undefined);
  }

  async #setUp(): Promise<void> {
    for (const [index, name] of this.#namespaces.entries()) {
      await ip('netns', 'add', name);
      await ip('-n', name, 'link', 'set', 'lo', 'up');
      const device = this.#addDevice(name);
      await ip('link', 'set', device, 'netns', name);
      await this.#bringUp(['-n', name], device, (this.nodes[index] as NetworkPlace).address);
    }
    const device = this.#addDevice(`mesh${process.pid % 100_000}-host`);
    await this.#bringUp([], device, this.hostAddress);
    const { memory: links } = this.#table;
    const workerData: SwitchData = { descriptors: this.#descriptors, links, stop: this.#stop };
    this.#switch = new Worker(new URL('./switch-worker.ts', import.meta.url), { workerData });
  }

  #addDevice(name: string): string {
    this.#descriptors.push(openTunDevice(this.#libc, name));
    return name;
  }

  async #bringUp(where: readonly string[], device: string, address: string): Promise<void> {
    await ip(...where, 'addr', 'add', `${address}/24`, 'dev', device);
    await ip(...where, 'link', 'set', device, 'mtu', String(MTU_BYTES), 'up');
  }
}

async function ip(...args: readonly string[]): Promise<void> {
  await run('ip', args, { timeout: COMMAND_TIMEOUT_MS });
}
