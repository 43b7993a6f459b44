import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../runtime/clock.ts';
import { abortReason } from '../runtime/deadline.ts';
import { PeerError } from './block-exchange.ts';
import { type BlockReply, parseBlockReply } from './block-message.ts';
import type { WireRecord } from './checked-msgpack.ts';
import { encodeFrame, FrameDecoder } from './frame-codec.ts';
import type { Endpoint, Network } from './network.ts';
import { encodePreamble } from './preamble.ts';

/** One request and what becomes of its answer. */
export interface Exchange {
  readonly request: WireRecord;
  /** Where the payload of a `data` frame goes. @throws PeerError (`protocol`) when it fits nowhere */
  roomFor(reply: BlockReply, payloadBytes: number): Uint8Array;
  /** Takes a reply. @returns whether the answer is complete @throws PeerError to fail the request */
  onReply(reply: BlockReply, payload: Uint8Array): boolean;
}

/**
 * After a silence a late timer must not blame the peer for our own busy thread: data may wait in
 * the socket. It is given one more turn of the loop, and this long.
 */
const GRACE_MS = 30;

/** The asking side of one bulk connection: one exchange after the other. */
export class BulkConnection {
  readonly #clock: Clock;
  readonly #decoder: FrameDecoder;
  #socket: Duplex | undefined;
  #exchange: Exchange | undefined;
  #settle: ((error: Error | undefined) => void) | undefined;
  #failure: Error | undefined;
  #heard = false;

  private constructor(clock: Clock) {
    this.#clock = clock;
    this.#decoder = new FrameDecoder({
      roomFor: (header, payloadBytes) =>
        this.#running().roomFor(parseBlockReply(header), payloadBytes),
      onFrame: (header, payload) => this.#onFrame(parseBlockReply(header), payload),
    });
  }

  /** Connects with a ticket. @throws the network's error; the signal's reason when aborted */
  static async open(
    options: { network: Network; clock: Clock; to: Endpoint; ticket: Uint8Array },
    signal: AbortSignal,
  ): Promise<BulkConnection> {
    const connection = new BulkConnection(options.clock);
    const socket = await options.network.connect(options.to, {
      signal,
      onData: (chunk) => connection.#onData(chunk),
    });
    connection.#socket = socket;
    socket.on('error', (cause) => connection.#fail(broken(cause)));
    socket.on('close', () => connection.#fail(broken(undefined)));
    socket.resume();
    socket.write(encodePreamble(options.ticket));
    return connection;
  }

  /** Whether it can take an exchange. */
  get usable(): boolean {
    return this.#failure === undefined && this.#exchange === undefined;
  }

  /** Whether anything arrived during the last exchange. */
  get heard(): boolean {
    return this.#heard;
  }

  /**
   * Runs one exchange; afterwards none of its room is written to any more. The connection survives
   * a complete answer and nothing else.
   *
   * @param silenceTimeoutMs - the peer must say something at least this often
   * @throws PeerError; the signal's reason when aborted
   */
  run(exchange: Exchange, silenceTimeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted || !this.usable) {
        reject(signal.aborted ? abortReason(signal) : (this.#failure ?? broken(undefined)));
        return;
      }
      this.#exchange = exchange;
      this.#heard = false;
      const silence = this.#watchSilence(silenceTimeoutMs);
      const onAbort = () => this.#fail(abortReason(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      this.#settle = (error) => {
        this.#exchange = undefined;
        this.#settle = undefined;
        silence.cancel();
        signal.removeEventListener('abort', onAbort);
        if (error === undefined) resolve();
        else reject(error);
      };
      this.#socket?.write(encodeFrame(exchange.request));
    });
  }

  /** Closes the socket; a running exchange fails. */
  close(): void {
    this.#fail(broken(undefined));
  }

  #lastHeardMs = 0;

  #watchSilence(timeoutMs: number): Timer {
    let timer: Timer;
    let warned = false;
    this.#lastHeardMs = this.#clock.nowMs();
    const check = () => {
      const silentMs = this.#clock.nowMs() - this.#lastHeardMs;
      if (silentMs < timeoutMs) {
        warned = false;
        timer = this.#clock.setTimer(timeoutMs - silentMs, check);
      } else if (!warned) {
        warned = true;
        timer = this.#clock.setTimer(GRACE_MS, check);
      } else {
        const message = `the peer said nothing for ${timeoutMs} ms`;
        this.#fail(new PeerError('timeout', message, { retryable: true }));
      }
    };
    timer = this.#clock.setTimer(timeoutMs, check);
    return { cancel: () => timer.cancel() };
  }

  #onData(chunk: Uint8Array): void {
    if (this.#failure !== undefined) return;
    this.#lastHeardMs = this.#clock.nowMs();
    this.#heard = true;
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.#fail(error instanceof Error ? error : broken(error));
    }
  }

  #onFrame(reply: BlockReply, payload: Uint8Array): void {
    if (reply.type === 'error') {
      const { code, message } = reply;
      const retryable = code === 'busy' || code === 'timeout' || code === 'unreachable';
      const error = new PeerError(code, message, { retryable });
      // The server closes after the first two. Its deadline may pass while the end of an answer is
      // on its way: this error then follows an answer that was complete, and a later exchange on
      // this connection could take the bytes of another one for its own.
      const isOutOfStep = code === 'protocol' || code === 'corrupt' || code === 'timeout';
      if (isOutOfStep || this.#settle === undefined) this.#fail(error);
      else this.#settle(error);
      return;
    }
    if (this.#running().onReply(reply, payload)) this.#settle?.(undefined);
  }

  #running(): Exchange {
    if (this.#exchange !== undefined) return this.#exchange;
    throw new PeerError('protocol', 'the peer sent an answer that nobody waits for');
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#decoder.stop();
    this.#socket?.destroy();
    this.#settle?.(error);
  }
}

function broken(cause: unknown): PeerError {
  return new PeerError('unreachable', 'the bulk connection broke', { retryable: true, cause });
}
