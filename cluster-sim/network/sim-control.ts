import type { NodeId } from '../../src/block/node-id.ts';
import { PeerError } from '../../src/peer/block-exchange.ts';
import { packRecord, unpackRecord, type WireRecord } from '../../src/peer/checked-msgpack.ts';
import type {
  ControlAnswer,
  ControlHandler,
  ControlTarget,
  ControlTransport,
} from '../../src/peer/control-plane.ts';
import { abortReason } from '../../src/runtime/deadline.ts';
import type { Fabric } from './fabric.ts';
import { REORDER_MS } from './link-rules.ts';
import type { Machine, Machines, NetProcess } from './machine.ts';

/** All nodes listen for control messages here. */
export const CONTROL_PORT = 4_001;
/** What noise and yamux add to a message, about. */
const ENVELOPE_BYTES = 200;
/** TCP, noise, yamux and the proof of the group's secret, in round trips. */
const HANDSHAKE_TRIPS = 4;

/** What control messages have cost, all nodes together. */
export interface ControlTraffic {
  messages: number;
  bytes: number;
}

interface Ask {
  readonly from: SimControl;
  readonly to: Machine;
  readonly wanted: NodeId | undefined;
  readonly bytes: Uint8Array;
  readonly isOpen: () => boolean;
  readonly settle: (outcome: ControlAnswer | PeerError) => void;
}

/** Control messages between the processes of the simulation, in place of libp2p. */
export class SimControl implements ControlTransport {
  readonly nodeId: NodeId;
  readonly port = CONTROL_PORT;
  readonly #fabric: Fabric;
  readonly #machines: Machines;
  readonly #machine: Machine;
  readonly #process: NetProcess;
  readonly #traffic: ControlTraffic;
  readonly #connected = new Map<NodeId, SimControl>();
  #handler: ControlHandler | undefined;
  #onLost: (node: NodeId) => void = () => undefined;
  #isUp = false;

  constructor(parts: {
    nodeId: NodeId;
    fabric: Fabric;
    machines: Machines;
    machine: Machine;
    process: NetProcess;
    traffic: ControlTraffic;
  }) {
    this.nodeId = parts.nodeId;
    this.#fabric = parts.fabric;
    this.#machines = parts.machines;
    this.#machine = parts.machine;
    this.#process = parts.process;
    this.#traffic = parts.traffic;
  }

  start(): Promise<void> {
    this.#isUp = true;
    this.#process.control = this;
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#isUp = false;
    if (this.#process.control === this) this.#process.control = undefined;
    this.killed();
    return Promise.resolve();
  }

  /** The kernel ends all its connections: the others hear of it. */
  killed(): void {
    for (const other of this.#connected.values()) {
      this.#packet(this.#machine, other.#machine, 0, () => other.#lost(this));
    }
    this.#connected.clear();
  }

  handle(handler: ControlHandler): void {
    this.#handler = handler;
  }

  watch(onLost: (node: NodeId) => void): void {
    this.#onLost = onLost;
  }

  disconnect(node: NodeId): void {
    const other = this.#connected.get(node);
    this.#connected.delete(node);
    if (other !== undefined) {
      this.#packet(this.#machine, other.#machine, 0, () => other.#lost(this));
    }
  }

  ask(target: ControlTarget, message: WireRecord, signal: AbortSignal): Promise<ControlAnswer> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortReason(signal));
        return;
      }
      let isOpen = true;
      const end = (done: () => void) => {
        if (!isOpen) return;
        isOpen = false;
        signal.removeEventListener('abort', onAbort);
        done();
      };
      const onAbort = () => end(() => reject(abortReason(signal)));
      signal.addEventListener('abort', onAbort, { once: true });
      const settle = (outcome: ControlAnswer | PeerError) => {
        this.#process.time.reach(() =>
          end(() => (outcome instanceof PeerError ? reject(outcome) : resolve(outcome))),
        );
      };
      const to = this.#machineOf(target);
      const bytes = packRecord(message);
      if (to === undefined) settle(unreachable('no address'));
      else {
        const isWanted = () => isOpen && this.#process.time.isAlive;
        this.#send({ from: this, to, wanted: target.nodeId, bytes, isOpen: isWanted, settle });
      }
    });
  }

  #machineOf({ nodeId, addresses }: ControlTarget): Machine | undefined {
    const known = nodeId === undefined ? undefined : this.#connected.get(nodeId);
    if (known !== undefined) return known.#machine;
    for (const address of addresses) {
      const ip = /^\/ip4\/([0-9.]+)\//.exec(address)?.[1];
      const machine = ip === undefined ? undefined : this.#machines.at(ip);
      if (machine !== undefined) return machine;
    }
    return undefined;
  }

  #send(ask: Ask): void {
    const { to, bytes, isOpen } = ask;
    const { number } = this.#machine;
    const known = to.process?.control;
    const isConnected = known !== undefined && this.#connected.get(known.nodeId) === known;
    const { latencyMs } = this.#fabric.rules.quality(number, to.number);
    const handshakeMs = isConnected ? 0 : HANDSHAKE_TRIPS * 2 * latencyMs;
    const heldUpMs = this.#fabric.heldUpMs(number, to.number, REORDER_MS);
    const copies = this.#fabric.isDoubled(number, to.number) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      this.#fabric.world.after(handshakeMs + heldUpMs + copy, () => {
        this.#packet(this.#machine, to, bytes.byteLength, () => this.#arrived(ask), isOpen);
      });
    }
  }

  #arrived(ask: Ask): void {
    const { to } = ask;
    // Without power nobody says anything, and the asker's deadline ends it.
    if (!to.isPowered) return;
    const control = to.process?.control;
    const isRight = ask.wanted === undefined || control?.nodeId === ask.wanted;
    if (control === undefined || !isRight) {
      this.#packet(to, this.#machine, 0, () => {
        if (ask.wanted !== undefined) this.#connected.delete(ask.wanted);
        ask.settle(unreachable('nobody listens there'));
      });
      return;
    }
    control.#process.time.reach(() => control.#receive(ask));
  }

  #receive(ask: Ask): void {
    const { from } = ask;
    if (!this.#isUp || this.#handler === undefined) return;
    this.#connected.set(from.nodeId, from);
    void this.#handler(from.nodeId, unpackRecord(ask.bytes)).then((reply) => {
      const bytes = packRecord(reply);
      this.#packet(this.#machine, from.#machine, bytes.byteLength, () => {
        from.#process.time.reach(() => from.#connected.set(this.nodeId, this));
        const host = this.#machine.ip;
        ask.settle({ from: this.nodeId, host, reply: unpackRecord(bytes) });
      });
    });
  }

  #lost(other: SimControl): void {
    this.#process.time.reach(() => {
      if (this.#connected.get(other.nodeId) !== other) return;
      this.#connected.delete(other.nodeId);
      if (this.#isUp) this.#onLost(other.nodeId);
    });
  }

  // oxlint-disable-next-line eslint/max-params -- from, to, how much, and then
  #packet(
    from: Machine,
    to: Machine,
    sizeBytes: number,
    arrive: () => void,
    isWanted: () => boolean = () => true,
  ): void {
    this.#traffic.messages += 1;
    this.#traffic.bytes += sizeBytes + ENVELOPE_BYTES;
    this.#fabric.send({
      from: from.number,
      to: to.number,
      sizeBytes: sizeBytes + ENVELOPE_BYTES,
      isWanted,
      arrive,
    });
  }
}

function unreachable(why: string): PeerError {
  return new PeerError('unreachable', `control message: ${why}`, { retryable: true });
}
