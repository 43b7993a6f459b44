import type { Duplex } from 'node:stream';
import type { Clock } from '../runtime/clock.ts';
import { PeerError } from './block-exchange.ts';
import type { WireRecord } from './checked-msgpack.ts';
import { encodeFrame } from './frame-codec.ts';

/** A frame to be sent; the payload is written as it is, without a copy. */
export interface OutgoingFrame {
  readonly header: WireRecord;
  readonly payload?: Uint8Array;
}

/** Sends frames over a socket and watches that the other side takes them. */
export class FrameWriter {
  readonly #socket: Duplex;
  readonly #clock: Clock;
  readonly #stallTimeoutMs: number;

  /** @param stallTimeoutMs - how long the other side may refuse to take what was sent */
  constructor(socket: Duplex, options: { clock: Clock; stallTimeoutMs: number }) {
    this.#socket = socket;
    this.#clock = options.clock;
    this.#stallTimeoutMs = options.stallTimeoutMs;
  }

  /**
   * Sends frames together; resolves when the system has taken their bytes, so that payloads may be
   * reused.
   *
   * @throws PeerError (`unreachable`) when the connection is gone, `timeout` after a stall; the
   *   socket is then destroyed
   */
  send(frames: readonly OutgoingFrame[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(this.#stallTimeoutMs, () => {
        const message = `the peer takes no data for ${this.#stallTimeoutMs} ms`;
        reject(new PeerError('timeout', message, { retryable: true }));
        this.#socket.destroy();
      });
      const onWritten = (cause?: Error | null) => {
        timer.cancel();
        if (cause === undefined || cause === null) resolve();
        else
          reject(new PeerError('unreachable', 'the connection broke', { retryable: true, cause }));
      };
      this.#write(frames, onWritten);
    });
  }

  #write(frames: readonly OutgoingFrame[], onWritten: (error?: Error | null) => void): void {
    this.#socket.cork();
    frames.forEach(({ header, payload }, index) => {
      const done = index === frames.length - 1 ? onWritten : undefined;
      const head = encodeFrame(header, payload?.byteLength);
      if (payload === undefined || payload.byteLength === 0) this.#socket.write(head, done);
      else {
        this.#socket.write(head);
        this.#socket.write(payload, done);
      }
    });
    this.#socket.uncork();
  }
}
