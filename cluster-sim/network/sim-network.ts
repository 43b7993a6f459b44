import type {
  Endpoint,
  InterfaceAddress,
  Listening,
  Network,
  NetworkConnection,
} from '../../src/peer/network.ts';
import { abortReason } from '../../src/runtime/deadline.ts';
import type { Fabric } from './fabric.ts';
import type { Machine, Machines, NetProcess } from './machine.ts';
import { SimSocket } from './sim-socket.ts';

/** Ports that the system chooses begin here. */
const FIRST_PORT = 32_768;
/** A machine without power is tried again after this. */
const RESEND_MS = 1_000;
const PACKET_BYTES = 60;

/** One process's sockets. */
export class SimNetwork implements Network {
  readonly #fabric: Fabric;
  readonly #machines: Machines;
  readonly #machine: Machine;
  readonly #process: NetProcess;

  constructor(parts: {
    fabric: Fabric;
    machines: Machines;
    machine: Machine;
    process: NetProcess;
  }) {
    this.#fabric = parts.fabric;
    this.#machines = parts.machines;
    this.#machine = parts.machine;
    this.#process = parts.process;
  }

  connect(
    to: Endpoint,
    options: { signal: AbortSignal; onData: (chunk: Uint8Array) => void },
  ): Promise<NetworkConnection> {
    const { signal, onData } = options;
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortReason(signal));
        return;
      }
      const target = this.#machines.at(to.host);
      let isOpen = true;
      const settle = (done: () => void) => {
        this.#process.time.reach(() => {
          if (!isOpen) return;
          isOpen = false;
          signal.removeEventListener('abort', onAbort);
          done();
        });
      };
      const onAbort = () => settle(() => reject(abortReason(signal)));
      signal.addEventListener('abort', onAbort, { once: true });
      const attempt = new ConnectAttempt({
        fabric: this.#fabric,
        machine: this.#machine,
        process: this.#process,
        onData,
        isWanted: () => isOpen && this.#process.time.isAlive,
        onOpen: (connection) => {
          // Nobody waits any more: the connection is closed, as the system's network does it.
          if (!isOpen) connection.socket.destroy();
          settle(() => {
            connection.socket.off('error', nobodyListens);
            resolve(connection);
          });
        },
        onRefused: () => settle(() => reject(refused(to))),
      });
      if (target === undefined) settle(() => reject(refused(to)));
      else attempt.knock(target, to.port);
    });
  }

  listen(at: Endpoint, onConnection: (connection: NetworkConnection) => void): Promise<Listening> {
    const { listeners } = this.#process;
    let port = at.port;
    if (port === 0) {
      port = FIRST_PORT;
      while (listeners.has(port)) port += 1;
    }
    listeners.set(port, onConnection);
    const close = () => {
      listeners.delete(port);
      return Promise.resolve();
    };
    return Promise.resolve({ port, close });
  }

  interfaces(): readonly InterfaceAddress[] {
    return [{ address: this.#machine.ip, family: 4, internal: false }];
  }
}

interface AttemptParts {
  readonly fabric: Fabric;
  readonly machine: Machine;
  readonly process: NetProcess;
  readonly onData: (chunk: Uint8Array) => void;
  readonly isWanted: () => boolean;
  readonly onOpen: (connection: NetworkConnection) => void;
  readonly onRefused: () => void;
}

/** Opening one connection. */
class ConnectAttempt {
  readonly #parts: AttemptParts;

  constructor(parts: AttemptParts) {
    this.#parts = parts;
  }

  knock(target: Machine, port: number): void {
    const { fabric, machine, isWanted } = this.#parts;
    fabric.send({
      from: machine.number,
      to: target.number,
      sizeBytes: PACKET_BYTES,
      isWanted,
      arrive: () => this.#atTarget(target, port),
    });
  }

  #atTarget(target: Machine, port: number): void {
    const { fabric, isWanted, onRefused } = this.#parts;
    if (!isWanted()) return;
    if (!target.isPowered) {
      fabric.world.after(RESEND_MS, () => {
        if (isWanted()) this.knock(target, port);
      });
      return;
    }
    const accept = target.process?.listeners.get(port);
    if (accept === undefined || target.process === undefined) this.#answer(target, onRefused);
    else this.#open(target, target.process, accept);
  }

  #open(
    target: Machine,
    process: NetProcess,
    accept: (connection: NetworkConnection) => void,
  ): void {
    const { fabric, machine, onOpen } = this.#parts;
    const ours = socketOf(fabric, this.#parts.machine, this.#parts.process, this.#parts.onData);
    const theirs = socketOf(fabric, target, process, undefined);
    SimSocket.join(ours, theirs);
    ours.on('error', nobodyListens);
    process.time.reach(() => accept({ socket: theirs, remoteAddress: machine.ip }));
    const onAnswer = () => onOpen({ socket: ours, remoteAddress: target.ip });
    this.#answer(target, onAnswer, () => ours.destroy());
  }

  #answer(target: Machine, arrive: () => void, giveUp: () => void = () => undefined): void {
    const { fabric, machine } = this.#parts;
    const sizeBytes = PACKET_BYTES;
    fabric.send({ from: target.number, to: machine.number, sizeBytes, arrive, giveUp });
  }
}

function socketOf(
  fabric: Fabric,
  machine: Machine,
  process: NetProcess,
  onData: ((chunk: Uint8Array) => void) | undefined,
): SimSocket {
  const onClosed = (closed: SimSocket) => void process.sockets.delete(closed);
  const socket = new SimSocket({ fabric, machine, time: process.time, onData, onClosed });
  process.sockets.add(socket);
  return socket;
}

/** A connection may break before anybody has it. */
function nobodyListens(): void {}

function refused(to: Endpoint): Error {
  return Object.assign(new Error(`connect ECONNREFUSED ${to.host}:${to.port}`), {
    code: 'ECONNREFUSED',
  });
}
