import assert from 'node:assert/strict';
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock } from '../../runtime/clock.ts';
import type { TlsOptions } from '../tls-options.ts';
import { AnswerError, type AnswerHead, parseAnswerHead } from './answer-head.ts';

/** Where connections lead. */
export interface GetPlace {
  readonly host: string;
  readonly port: number;
  /** Undefined for plain connections. */
  readonly tls: TlsOptions | undefined;
}

/** What a {@link GetConnection} is given. */
export interface GetConnectionOptions {
  readonly place: GetPlace;
  readonly clock: Clock;
  /** Where sockets read to when nobody waits for a body; all connections of a thread share it. */
  readonly scratch: Buffer;
  /** The answer has been read to its end, and the connection can take another request. */
  onIdle(connection: GetConnection): void;
  /** It takes no request any more. */
  onClosed(connection: GetConnection): void;
}

const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 1_000;
/** Servers send 1 KiB; node:http takes 16. */
const HEAD_BYTES_MAX = 64 * 1024;
const HEAD_END = '\r\n\r\n';
const TOO_LONG = 'the body is longer than announced';
const NOTHING = Buffer.alloc(0);

/** Somebody waits for bytes of the body. */
interface Sink {
  readonly into: Uint8Array;
  /** With so many in it the wait is over. */
  readonly leastBytes: number;
  readonly onReady: (readyBytes: number) => void;
  readonly resolve: (filledBytes: number) => void;
  readonly reject: (error: Error) => void;
  filledBytes: number;
}

/**
 * One connection to an HTTP server that takes one GET after the other. Bodies are read by the socket
 * straight to where they are wanted; while nobody wants them, nothing is read.
 */
export class GetConnection {
  readonly #options: GetConnectionOptions;
  readonly #socket: Socket;
  readonly #connectTimer: { cancel(): void };
  #failure: Error | undefined;
  /** Sent once the connection is there. */
  #unsent: string | undefined;
  #isConnected = false;
  #requests = 0;
  #hasAnswered = false;
  #waiting: { resolve(head: AnswerHead): void; reject(error: Error): void } | undefined;
  /** Bytes that came and were not taken yet: of a head that is not complete, or of a body. */
  #early: Buffer = NOTHING;
  #head: AnswerHead | undefined;
  /** Of the body, still to be handed over. */
  #leftBytes = 0;
  #sink: Sink | undefined;

  /** Begins to connect. */
  constructor(options: GetConnectionOptions) {
    this.#options = options;
    this.#socket = this.#connect();
    this.#connectTimer = options.clock.setTimer(CONNECT_TIMEOUT_MS, () => {
      this.close(new Error(`not connected within ${CONNECT_TIMEOUT_MS} ms`));
    });
  }

  /** Counts its requests: 1 for the first one. */
  get turn(): number {
    return this.#requests;
  }

  /** Whether anything of the running answer has arrived. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /**
   * Sends a request and waits for the head of its answer, for as long as it takes. Its body is then read
   * by {@link read}, to the end, or the connection {@link close}d.
   *
   * @param request - head of a GET, with the empty line at its end
   * @throws what the connection failed with
   */
  ask(request: string): Promise<AnswerHead> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      assert(this.#waiting === undefined && this.#leftBytes === 0, 'the connection is busy');
      this.#requests += 1;
      this.#hasAnswered = false;
      this.#waiting = { resolve, reject };
      this.#socket.ref();
      if (this.#isConnected) this.#socket.write(request, 'latin1');
      else this.#unsent = request;
    });
  }

  /**
   * Reads the next bytes of the body into `into`, which must not be longer than what is left of it.
   * Nothing is written to it once the promise has settled.
   *
   * @param leastBytes - resolves with so many or more, at least 1
   * @returns how many have come
   * @throws what the connection failed with
   */
  read(
    into: Uint8Array,
    leastBytes: number,
    onReady: (readyBytes: number) => void,
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      assert(this.#sink === undefined && this.#head !== undefined, 'there is no body to read');
      assert(leastBytes > 0 && into.byteLength <= this.#leftBytes);
      this.#sink = { into, leastBytes, onReady, resolve, reject, filledBytes: 0 };
      const early = this.#early;
      this.#early = NOTHING;
      if (early.byteLength > 0) this.#take(early);
      if (this.#sink !== undefined) this.#socket.resume();
    });
  }

  /** Ends it: whoever waits for something fails with `reason`, and nothing is written any more. */
  close(reason: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    this.#connectTimer.cancel();
    this.#early = NOTHING;
    this.#socket.destroy();
    this.#waiting?.reject(reason);
    this.#sink?.reject(reason);
    this.#waiting = undefined;
    this.#sink = undefined;
    this.#options.onClosed(this);
  }

  #connect(): Socket {
    const { host, port, tls } = this.#options.place;
    const onread: OnReadOpts = {
      buffer: () => this.#room(),
      callback: (count, bytes) => this.#onRead(Buffer.from(bytes.buffer, bytes.byteOffset, count)),
    };
    const address = { host, port, noDelay: true, keepAlive: true, onread };
    const wait = { keepAliveInitialDelay: KEEP_ALIVE_MS };
    const socket =
      tls === undefined
        ? connectTcp({ ...address, ...wait })
        : connectTls({ ...address, ...wait, ...tls, servername: isIP(host) === 0 ? host : '' });
    socket.on('error', (error) => this.close(error));
    socket.on('end', () => this.close(new Error('the server closed the connection')));
    socket.on('close', () => this.close(new Error('the connection was closed')));
    socket.resume();
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => this.#onConnected());
    return socket;
  }

  #onConnected(): void {
    this.#isConnected = true;
    this.#connectTimer.cancel();
    if (this.#unsent !== undefined) this.#socket.write(this.#unsent, 'latin1');
    this.#unsent = undefined;
  }

  /**
   * Where the socket's next bytes go: asked after each read. TLS may decrypt what it has after the
   * socket was destroyed, when the memory may serve another block, so there it is the scratch always.
   */
  #room(): Uint8Array {
    const sink = this.#sink;
    if (sink === undefined || this.#options.place.tls !== undefined) return this.#options.scratch;
    return sink.into.subarray(sink.filledBytes);
  }

  /** @returns whether to read on */
  #onRead(bytes: Buffer): boolean {
    this.#take(bytes);
    // Idle ones read on, to notice when the server closes.
    return this.#leftBytes === 0 || this.#sink !== undefined;
  }

  #take(bytes: Buffer): void {
    this.#hasAnswered = true;
    try {
      if (this.#head === undefined) this.#onHead(bytes);
      else this.#onBody(bytes);
    } catch (error) {
      this.close(error as Error);
    }
  }

  /** Bytes before a head is complete, or when nobody has asked anything. */
  #onHead(bytes: Buffer): void {
    if (this.#waiting === undefined) throw new AnswerError('the server answers unasked');
    const all = this.#early.byteLength === 0 ? bytes : Buffer.concat([this.#early, bytes]);
    const end = all.indexOf(HEAD_END, 0, 'latin1');
    if (end === -1) {
      if (all.byteLength > HEAD_BYTES_MAX)
        throw new AnswerError('the head of the answer has no end');
      // What arrives next is read to the same place.
      this.#early = Buffer.from(all);
      return;
    }
    const head = parseAnswerHead(all.toString('latin1', 0, end));
    const rest = all.subarray(end + HEAD_END.length);
    this.#early = NOTHING;
    if (head.status < 200) {
      // 100 Continue, 103 Early Hints: the answer follows.
      if (rest.byteLength > 0) this.#onHead(rest);
      return;
    }
    this.#begin(head, rest);
  }

  #begin(head: AnswerHead, rest: Buffer): void {
    const leftBytes = head.bodyBytes ?? Number.POSITIVE_INFINITY;
    // Whoever waits fails with it.
    if (rest.byteLength > leftBytes) throw new AnswerError(TOO_LONG);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#head = head;
    this.#leftBytes = leftBytes;
    if (rest.byteLength > 0) this.#early = Buffer.from(rest);
    waiting?.resolve(head);
    if (leftBytes === 0) this.#onEnd();
  }

  #onBody(bytes: Buffer): void {
    const sink = this.#sink;
    if (sink === undefined) {
      // The socket had read on before it was told not to.
      this.#early = Buffer.concat([this.#early, bytes]);
      if (this.#early.byteLength > this.#leftBytes) throw new AnswerError(TOO_LONG);
      return;
    }
    const room = sink.into.byteLength - sink.filledBytes;
    const taken = Math.min(room, bytes.byteLength);
    const isInPlace =
      bytes.buffer === sink.into.buffer &&
      bytes.byteOffset === sink.into.byteOffset + sink.filledBytes;
    if (!isInPlace) sink.into.set(bytes.subarray(0, taken), sink.filledBytes);
    sink.filledBytes += taken;
    this.#leftBytes -= taken;
    const rest = bytes.subarray(taken);
    if (rest.byteLength > this.#leftBytes) throw new AnswerError(TOO_LONG);
    if (rest.byteLength > 0) this.#early = Buffer.from(rest);
    sink.onReady(sink.filledBytes);
    if (sink.filledBytes < sink.leastBytes || this.#sink !== sink) return;
    this.#sink = undefined;
    sink.resolve(sink.filledBytes);
    if (this.#leftBytes === 0) this.#onEnd();
  }

  #onEnd(): void {
    const keepAlive = this.#head?.keepAlive === true;
    this.#head = undefined;
    if (!keepAlive) {
      this.close(new Error('the server wants no further request on this connection'));
      return;
    }
    this.#socket.unref();
    this.#socket.resume();
    this.#options.onIdle(this);
  }
}
