import { Duplex } from 'node:stream';
import type { NodeTime } from '../world/node-time.ts';
import type { Fabric } from './fabric.ts';
import type { Machine } from './machine.ts';
import { type StreamEnd, StreamHalf } from './stream-half.ts';

/** A machine without power is tried again after this, as TCP would do. */
const RESEND_MS = 1_000;
/** What a reader finds who keeps a view longer than he may. */
const POISON = 0xdd;

/** What a socket is made of. */
export interface SimSocketOptions {
  readonly fabric: Fabric;
  readonly machine: Machine;
  readonly time: NodeTime;
  /** Takes what arrives instead of `data` events; its view is valid during the call only. */
  readonly onData: ((chunk: Uint8Array) => void) | undefined;
  /** Called when it is closed. */
  readonly onClosed: (socket: SimSocket) => void;
}

/** One end of a TCP connection between two machines of the simulation. */
export class SimSocket extends Duplex implements StreamEnd {
  readonly #options: SimSocketOptions;
  #out: StreamHalf | undefined;
  #peer: SimSocket | undefined;
  /** Ends the write that waits for room. */
  #writing: ((error?: Error) => void) | undefined;

  constructor(options: SimSocketOptions) {
    super({ allowHalfOpen: false, highWaterMark: 64 * 1024 });
    this.#options = options;
  }

  /** Connects two ends. */
  static join(one: SimSocket, other: SimSocket): void {
    one.#attach(other);
    other.#attach(one);
  }

  /** Bytes that were sent and not yet read by the other side. */
  get openBytes(): number {
    return this.#out?.openBytes ?? 0;
  }

  /** Its process was killed: the kernel ends the connection. */
  killed(): void {
    this.#out?.finish('reset');
  }

  /** Its machine lost power. */
  vanish(): void {
    this.#out?.vanish();
  }

  /** The connection is cut by something between the machines. */
  reset(): void {
    this.onEnd('reset');
  }

  onBytes(bytes: Uint8Array, taken: () => void): void {
    const { time } = this.#options;
    time.reach(
      () => this.#take(bytes, taken),
      () => this.#refuse(),
    );
  }

  onEnd(how: 'fin' | 'reset'): void {
    this.#options.time.reach(() => {
      if (this.destroyed) return;
      if (how === 'fin') this.push(null);
      else this.destroy(Object.assign(new Error('connection reset'), { code: 'ECONNRESET' }));
    });
  }

  override _read(): void {
    // Bytes come when they come.
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: (error?: Error) => void): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: (error?: Error) => void): void {
    this.#out?.finish('fin');
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#out?.close();
    this.#options.onClosed(this);
    const writing = this.#writing;
    this.#writing = undefined;
    writing?.(error ?? Object.assign(new Error('the socket was closed'), { code: 'ECANCELED' }));
    done(error);
  }

  #attach(peer: SimSocket): void {
    const { fabric, machine } = this.#options;
    this.#peer = peer;
    this.#out = new StreamHalf(fabric, machine.number, peer.#options.machine.number, peer);
  }

  #send(chunks: readonly Uint8Array[], done: (error?: Error) => void): void {
    let isNow = true;
    this.#writing = done;
    const settle = () => {
      if (this.#writing !== done) return;
      this.#writing = undefined;
      done();
    };
    this.#out?.send(chunks, () => {
      if (isNow) settle();
      else this.#options.time.reach(settle);
    });
    isNow = false;
  }

  #take(bytes: Uint8Array, taken: () => void): void {
    if (this.destroyed) {
      this.#refuse();
      return;
    }
    const { onData } = this.#options;
    if (onData === undefined) this.push(bytes);
    else {
      onData(bytes);
      bytes.fill(POISON);
    }
    taken();
  }

  /** Bytes for a connection that is not there any more: the machine says so, once it has power. */
  #refuse(): void {
    const { fabric, machine } = this.#options;
    const peer = this.#peer;
    if (peer === undefined || peer.destroyed) return;
    if (!machine.isPowered) {
      fabric.world.after(RESEND_MS, () => this.#refuse());
      return;
    }
    fabric.send({
      from: machine.number,
      to: peer.#options.machine.number,
      sizeBytes: 60,
      arrive: () => peer.onEnd('reset'),
      isWanted: () => !peer.destroyed,
    });
  }
}
