import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../runtime/clock.ts';
import { abortReason } from '../runtime/deadline.ts';
import { PeerError } from './block-exchange.ts';
import { type BlockReply, errorOf, parseBlockReply } from './block-message.ts';
import type { WireRecord } from './checked-msgpack.ts';
import { encodeFrame, FrameDecoder, NUMBERED_VERSION, REQUEST_NUMBER_MAX } from './frame-codec.ts';
import type { ProvedSocket } from './proved-socket.ts';

/** One request and what becomes of its answer. */
export interface Exchange {
  readonly request: WireRecord;
  /** Where the payload of a `data` frame goes. @throws PeerError (`protocol`) when it fits nowhere */
  roomFor(reply: BlockReply, payloadBytes: number): Uint8Array;
  /** The next bytes of a payload are in their room. @throws PeerError to fail the request */
  onPayload?(bytes: Uint8Array): void;
  /** Takes a reply. @returns whether the answer is complete @throws PeerError to fail the request */
  onReply(reply: BlockReply, payload: Uint8Array): boolean;
}

/** How long one exchange may take. */
export interface Patience {
  /** The peer must say something at least this often. */
  readonly silenceMs: number;
  /** For all of it. */
  readonly totalMs: number;
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
  readonly #socket: Duplex;
  readonly #version: number;
  #exchange: Exchange | undefined;
  #settle: ((error: Error | undefined) => void) | undefined;
  #failure: Error | undefined;
  #heard = false;
  #askedMs = 0;
  #signMs: number | undefined;
  #number = 0;

  /** @param proved - a socket whose other side has proved who it is; it is ours from here on */
  constructor(proved: ProvedSocket, clock: Clock) {
    const { socket, version } = proved;
    this.#clock = clock;
    this.#socket = socket;
    this.#version = version;
    let arriving: BlockReply | undefined;
    const sink = {
      roomFor: (header: WireRecord, payloadBytes: number, number: number) => {
        arriving = parseBlockReply(header);
        return this.#running(number).roomFor(arriving, payloadBytes);
      },
      onPayload: (bytes: Uint8Array) => this.#exchange?.onPayload?.(bytes),
      onFrame: (header: WireRecord, payload: Uint8Array, number: number) => {
        const reply = arriving ?? parseBlockReply(header);
        arriving = undefined;
        this.#onFrame(reply, payload, number);
      },
    };
    this.#decoder = new FrameDecoder(sink, version);
    socket.on('error', (cause) => this.#fail(broken(cause)));
    socket.on('close', () => this.#fail(broken(undefined)));
    if (socket.destroyed) this.#fail(broken(undefined));
    proved.listen(
      (chunk) => this.#onData(chunk),
      () => this.#decoder.room,
    );
  }

  /** What both sides speak. */
  get version(): number {
    return this.#version;
  }

  /** Whether it can take an exchange. */
  get usable(): boolean {
    return this.#failure === undefined && this.#exchange === undefined;
  }

  /** Whether anything arrived during the last exchange. */
  get heard(): boolean {
    return this.#heard;
  }

  /** How long the peer took to say anything in the last exchange; undefined when it has not. */
  get signMs(): number | undefined {
    return this.#signMs;
  }

  /**
   * Runs one exchange; afterwards none of its room is written to any more. The connection survives
   * a complete answer and nothing else.
   *
   * @throws PeerError; the signal's reason when aborted
   */
  run(exchange: Exchange, patience: Patience, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted || !this.usable) {
        reject(signal.aborted ? abortReason(signal) : (this.#failure ?? broken(undefined)));
        return;
      }
      this.#exchange = exchange;
      this.#heard = false;
      this.#signMs = undefined;
      this.#askedMs = this.#clock.nowMs();
      const silence = this.#watchSilence(patience);
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
      this.#number = (this.#number % REQUEST_NUMBER_MAX) + 1;
      const mark = { version: this.#version, request: this.#number };
      this.#socket.write(encodeFrame(exchange.request, 0, mark));
    });
  }

  /** Closes the socket; a running exchange fails. */
  close(): void {
    this.#fail(broken(undefined));
  }

  #lastHeardMs = 0;

  #watchSilence({ silenceMs, totalMs }: Patience): Timer {
    let timer: Timer;
    let warned = false;
    this.#lastHeardMs = this.#askedMs;
    const check = () => {
      const nowMs = this.#clock.nowMs();
      const silentMs = nowMs - this.#lastHeardMs;
      const leftMs = totalMs - (nowMs - this.#askedMs);
      if (silentMs < silenceMs && leftMs > 0) {
        warned = false;
        timer = this.#clock.setTimer(Math.min(silenceMs - silentMs, leftMs), check);
      } else if (!warned) {
        warned = true;
        timer = this.#clock.setTimer(GRACE_MS, check);
      } else {
        const silent = `the peer said nothing for ${silenceMs} ms`;
        const message = leftMs > 0 ? silent : `the peer did not get done within ${totalMs} ms`;
        this.#fail(new PeerError('timeout', message, { retryable: true }));
      }
    };
    timer = this.#clock.setTimer(Math.min(silenceMs, totalMs), check);
    return { cancel: () => timer.cancel() };
  }

  #onData(chunk: Uint8Array): void {
    if (this.#failure !== undefined) return;
    this.#lastHeardMs = this.#clock.nowMs();
    this.#heard = true;
    this.#signMs ??= this.#lastHeardMs - this.#askedMs;
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.#fail(error instanceof Error ? error : broken(error));
    }
  }

  #onFrame(reply: BlockReply, payload: Uint8Array, number: number): void {
    if (reply.type === 'error' && (number === 0 || this.#isOurs(number))) {
      const { code } = reply;
      const error = errorOf(reply);
      // The server closes after the first two. Its deadline may pass while the end of an answer is
      // on its way: this error then follows an answer that was complete, and a later exchange on
      // this connection could take the bytes of another one for its own.
      const isOutOfStep = code === 'protocol' || code === 'corrupt' || code === 'timeout';
      // An error without a number is about the connection as a whole.
      const isOfConnection = !this.#isOurs(number);
      if (isOutOfStep || isOfConnection || this.#settle === undefined) this.#fail(error);
      else this.#settle(error);
      return;
    }
    if (this.#running(number).onReply(reply, payload)) this.#settle?.(undefined);
  }

  #running(number: number): Exchange {
    if (this.#exchange !== undefined && this.#isOurs(number)) return this.#exchange;
    throw new PeerError('protocol', `the peer sent an answer (${number}) that nobody waits for`);
  }

  #isOurs(number: number): boolean {
    return this.#version < NUMBERED_VERSION || number === this.#number;
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#decoder.stop();
    this.#socket.destroy();
    this.#settle?.(error);
  }
}

function broken(cause: unknown): PeerError {
  return new PeerError('unreachable', 'the bulk connection broke', { retryable: true, cause });
}
