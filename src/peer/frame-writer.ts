import type { Duplex } from 'node:stream';
import type { Clock } from '../runtime/clock.ts';
import { PeerError } from './block-exchange.ts';
import type { WireRecord } from './checked-msgpack.ts';
import { encodeFrame } from './frame-codec.ts';
import { SlicedWrites } from './sliced-writes.ts';

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
  readonly #version: number;
  /** Of an encrypted socket. */
  readonly #sliced: SlicedWrites | undefined;

  /**
   * @param options - `stallTimeoutMs`: how long the other side may refuse to take what was sent;
   *   `version`: of the frames
   */
  constructor(socket: Duplex, options: { clock: Clock; stallTimeoutMs: number; version: number }) {
    this.#socket = socket;
    this.#sliced = 'encrypted' in socket ? new SlicedWrites(socket) : undefined;
    this.#version = options.version;
    this.#clock = options.clock;
    this.#stallTimeoutMs = options.stallTimeoutMs;
  }

  /**
   * Sends frames together; resolves when the system has taken their bytes, so that payloads may be
   * reused.
   *
   * @param request - number of the request that they belong to, 0 for none
   * @throws PeerError (`unreachable`) when the connection is gone, `timeout` after a stall; the
   *   socket is then destroyed
   */
  send(frames: readonly OutgoingFrame[], request: number): Promise<void> {
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
      this.#write(frames, request, onWritten);
    });
  }

  #write(
    frames: readonly OutgoingFrame[],
    request: number,
    onWritten: (error?: Error | null) => void,
  ): void {
    const mark = { version: this.#version, request };
    const buffers = frames.flatMap(({ header, payload }) => {
      const head = encodeFrame(header, payload?.byteLength, mark);
      return payload === undefined || payload.byteLength === 0 ? [head] : [head, payload];
    });
    if (this.#sliced !== undefined) {
      this.#sliced.write(buffers).then(() => onWritten(), onWritten);
      return;
    }
    this.#socket.cork();
    buffers.forEach((bytes, index) => {
      this.#socket.write(bytes, index === buffers.length - 1 ? onWritten : undefined);
    });
    this.#socket.uncork();
  }
}
