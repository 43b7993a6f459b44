import type { Duplex } from 'node:stream';
import { crc32c } from '@node-rs/crc32';
import type { NodeId } from '../block/node-id.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { abortReason, withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import { type BlockHandler, PeerError } from './block-exchange.ts';
import { type BlockRequest, errorReply, parseBlockRequest, tiersReply } from './block-message.ts';
import type { WireRecord } from './checked-msgpack.ts';
import { FrameDecoder, PAYLOAD_BYTES_MAX } from './frame-codec.ts';
import { FrameWriter, type OutgoingFrame } from './frame-writer.ts';
import type { PeerMetrics } from './peer-metrics.ts';
import type { ServeLimits } from './serve-limits.ts';

/** Deadlines of the serving side. */
export interface ServeTimeouts {
  /** A `working` frame goes out when nothing else did for this long. */
  readonly keepAliveMs: number;
  /** The other side must take what was sent within this. */
  readonly stallTimeoutMs: number;
  /** A request may take this long in all. */
  readonly requestTimeoutMs: number;
  /** A connection without requests is closed after this; longer than the client's own limit. */
  readonly idleTimeoutMs: number;
}

/** The client waits 500 ms in silence, so two of three `working` frames may come late. */
export const DEFAULT_SERVE_TIMEOUTS: ServeTimeouts = {
  keepAliveMs: 150,
  stallTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  idleTimeoutMs: 90_000,
};

/** Payload frames that go to the system in one call; their bytes are held until it took them. */
const BATCH_FRAMES = 4;

/** What a session works with. */
export interface SessionContext {
  readonly handler: BlockHandler;
  readonly limits: ServeLimits;
  readonly timeouts: ServeTimeouts;
  readonly clock: Clock;
  readonly metrics: PeerMetrics;
  readonly logger: Logger;
}

/** The serving side of one bulk connection whose peer is known: one request after the other. */
export class BulkSession {
  readonly #socket: Duplex;
  readonly #peer: NodeId;
  readonly #context: SessionContext;
  readonly #writer: FrameWriter;
  readonly #decoder: FrameDecoder;
  readonly #closed = new AbortController();
  #busy = false;
  #next: BlockRequest | undefined;
  #sending = 0;
  #idleTimer: Timer | undefined;
  #lastSentMs = 0;
  #done: Promise<void> = Promise.resolve();

  constructor(socket: Duplex, peer: NodeId, context: SessionContext) {
    this.#socket = socket;
    this.#peer = peer;
    this.#context = context;
    const { clock, timeouts } = context;
    this.#writer = new FrameWriter(socket, { clock, stallTimeoutMs: timeouts.stallTimeoutMs });
    this.#decoder = new FrameDecoder({
      roomFor: () => {
        throw new PeerError('protocol', 'the peer sent a request with a payload');
      },
      onFrame: (header) => this.#onRequest(header),
    });
    socket.once('close', () => this.#onClose());
    this.#armIdleTimer();
  }

  /** Takes bytes that the peer sent. */
  push(chunk: Uint8Array): void {
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Resolves when nothing of the session runs any more; the socket is destroyed. */
  async close(): Promise<void> {
    this.#socket.destroy();
    this.#onClose();
    await this.#done;
  }

  #onRequest(header: WireRecord): void {
    const request = parseBlockRequest(header);
    if (!this.#busy) {
      this.#begin(request);
      return;
    }
    // The peer may have our last frame in hand before we know that it was taken.
    if (this.#next !== undefined) {
      throw new PeerError('protocol', 'the peer sent requests before the last one was answered');
    }
    this.#next = request;
  }

  #begin(request: BlockRequest): void {
    this.#busy = true;
    this.#idleTimer?.cancel();
    this.#done = this.#answer(request).finally(() => {
      this.#busy = false;
      if (this.#closed.signal.aborted) return;
      const next = this.#next;
      this.#next = undefined;
      if (next === undefined) this.#armIdleTimer();
      else this.#begin(next);
    });
  }

  /** Never rejects: failures go to the peer as far as it still listens, and are counted. */
  async #answer(request: BlockRequest): Promise<void> {
    const { clock, metrics, timeouts } = this.#context;
    const bytes = request.type === 'get' ? request.range.length : 0;
    const leave = this.#context.limits.enterRequest(this.#peer, bytes);
    const keepAlive = this.#startKeepAlive();
    try {
      if (leave === undefined) throw new PeerError('busy', 'too many requests are being served');
      metrics.servingBytes.set(this.#context.limits.bytes);
      const what = `a ${request.type} of ${this.#peer}`;
      const options = { what, timeoutMs: timeouts.requestTimeoutMs, signal: this.#closed.signal };
      await withDeadline(clock, options, (signal) => this.#serve(request, signal));
    } catch (error) {
      await this.#answerError(error);
    } finally {
      keepAlive.cancel();
      leave?.();
      metrics.servingBytes.set(this.#context.limits.bytes);
    }
  }

  async #serve(request: BlockRequest, signal: AbortSignal): Promise<void> {
    const { handler, metrics } = this.#context;
    if (request.type === 'holds') {
      await this.#send([{ header: tiersReply(handler.holds(request.ids)) }]);
      return;
    }
    const { key, range } = request;
    let sent = 0;
    for await (const piece of handler.serve(key, range, signal)) {
      if (signal.aborted) throw abortReason(signal);
      if (sent + piece.byteLength > range.length) throw new Error('more bytes than asked for');
      await this.#sendPiece(piece, range.offset + sent, signal);
      sent += piece.byteLength;
      metrics.servedBytes.add(piece.byteLength);
    }
    if (sent !== range.length) throw new Error(`${sent} bytes instead of ${range.length}`);
    await this.#send([{ header: { type: 'end' } }]);
    metrics.servedBlocks.add();
  }

  async #sendPiece(piece: Uint8Array, offset: number, signal: AbortSignal): Promise<void> {
    let frames: OutgoingFrame[] = [];
    for (let at = 0; at < piece.byteLength; at += PAYLOAD_BYTES_MAX) {
      const payload = piece.subarray(at, at + PAYLOAD_BYTES_MAX);
      const header = { type: 'data', offset: offset + at, crc32c: crc32c(payload) };
      frames.push({ header, payload });
      const last = at + PAYLOAD_BYTES_MAX >= piece.byteLength;
      if (frames.length < BATCH_FRAMES && !last) continue;
      await this.#send(frames);
      if (signal.aborted) throw abortReason(signal);
      frames = [];
    }
  }

  async #send(frames: readonly OutgoingFrame[]): Promise<void> {
    this.#sending += 1;
    try {
      await this.#writer.send(frames);
    } finally {
      this.#sending -= 1;
      this.#lastSentMs = this.#context.clock.nowMs();
    }
  }

  async #answerError(error: unknown): Promise<void> {
    const { logger, metrics } = this.#context;
    const code = reasonOf(error);
    if (this.#closed.signal.aborted) {
      metrics.servedErrors('aborted').add();
      return;
    }
    metrics.servedErrors(code).add();
    logger.warn({ peer: this.#peer, code, err: error }, 'a peer got an error instead of a block');
    const message = error instanceof Error ? error.message : String(error);
    try {
      await this.#send([{ header: errorReply(code, message) }]);
    } catch (cause) {
      logger.debug({ peer: this.#peer, err: cause }, 'the peer is gone before it got the error');
      this.#socket.destroy();
    }
  }

  /** Says what is wrong and hangs up. */
  #refuse(error: unknown): void {
    const { logger, metrics } = this.#context;
    const code = error instanceof PeerError && error.code === 'corrupt' ? 'corrupt' : 'protocol';
    metrics.servedErrors(code).add();
    logger.warn({ peer: this.#peer, code, err: error }, 'a peer broke the protocol');
    const message = error instanceof Error ? error.message : String(error);
    this.#writer
      .send([{ header: errorReply(code, message) }])
      .catch((cause: unknown) => logger.debug({ err: cause }, 'the peer is gone already'))
      .finally(() => this.#socket.destroy());
  }

  #startKeepAlive(): Timer {
    const { clock, timeouts, logger } = this.#context;
    this.#lastSentMs = clock.nowMs();
    let timer: Timer;
    const tick = () => {
      timer = clock.setTimer(timeouts.keepAliveMs, tick);
      if (this.#sending > 0 || clock.nowMs() - this.#lastSentMs < timeouts.keepAliveMs) return;
      this.#send([{ header: { type: 'working' } }]).catch((error: unknown) => {
        logger.debug({ peer: this.#peer, err: error }, 'no keep-alive: the peer is gone');
      });
    };
    timer = clock.setTimer(timeouts.keepAliveMs, tick);
    return { cancel: () => timer.cancel() };
  }

  #armIdleTimer(): void {
    const { clock, timeouts } = this.#context;
    this.#idleTimer = clock.setTimer(timeouts.idleTimeoutMs, () => this.#socket.destroy());
  }

  #onClose(): void {
    this.#idleTimer?.cancel();
    this.#decoder.stop();
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new PeerError('unreachable', 'the peer hung up', { retryable: true }));
  }
}

/** How an error of ours is named to the peer. */
function reasonOf(error: unknown): 'busy' | 'timeout' | 'failed' {
  if (error instanceof PeerError && error.code === 'busy') return 'busy';
  if (error instanceof CodedError && error.code === 'deadline') return 'timeout';
  return 'failed';
}
