import type { Duplex } from 'node:stream';
import type { NodeId } from '../block/node-id.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { abortReason, withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import { type BlockHandler, type HeldRange, PeerError, ReferralError } from './block-exchange.ts';
import {
  type BlockRequest,
  errorReply,
  parseBlockRequest,
  referralReply,
  tiersReply,
} from './block-message.ts';
import type { WireRecord } from './checked-msgpack.ts';
import { FrameDecoder } from './frame-codec.ts';
import type { ProvedPeer } from './member-proof.ts';
import type { PeerMetrics } from './peer-metrics.ts';
import { dataFrame, ReplySender } from './reply-sender.ts';
import { serveMany } from './serve-many.ts';
import type { Refusals } from './refusals.ts';
import type { LimitName, ServeLimits } from './serve-limits.ts';

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

/** What a session works with. */
export interface SessionContext {
  readonly handler: BlockHandler;
  readonly limits: ServeLimits;
  readonly refusals: Refusals;
  readonly timeouts: ServeTimeouts;
  readonly clock: Clock;
  readonly metrics: PeerMetrics;
  readonly logger: Logger;
}

/** A request and its number, 0 in versions without numbers. */
interface NumberedRequest {
  readonly request: BlockRequest;
  readonly number: number;
}

/** The serving side of one bulk connection whose peer is known: one request after the other. */
export class BulkSession {
  readonly #socket: Duplex;
  readonly #peer: NodeId;
  readonly #context: SessionContext;
  readonly #sender: ReplySender;
  readonly #decoder: FrameDecoder;
  readonly #closed = new AbortController();
  #busy = false;
  #next: NumberedRequest | undefined;
  #idleTimer: Timer | undefined;
  #done: Promise<void> = Promise.resolve();

  /** @param proved - who it is, and the version that both speak */
  constructor(
    socket: Duplex,
    proved: Pick<ProvedPeer, 'peer' | 'version'>,
    context: SessionContext,
  ) {
    this.#socket = socket;
    this.#peer = proved.peer;
    const { version } = proved;
    this.#context = context;
    const { clock, timeouts } = context;
    const { stallTimeoutMs } = timeouts;
    this.#sender = new ReplySender(socket, { clock, stallTimeoutMs, version });
    const sink = {
      roomFor: () => {
        throw new PeerError('protocol', 'the peer sent a request with a payload');
      },
      onFrame: (header: WireRecord, _payload: Uint8Array, number: number) =>
        this.#onRequest({ request: parseBlockRequest(header), number }),
    };
    this.#decoder = new FrameDecoder(sink, version);
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

  #onRequest(asked: NumberedRequest): void {
    if (!this.#busy) {
      this.#begin(asked);
      return;
    }
    // The peer may have our last frame in hand before we know that it was taken.
    if (this.#next !== undefined) {
      throw new PeerError('protocol', 'the peer sent requests before the last one was answered');
    }
    this.#next = asked;
  }

  #begin(asked: NumberedRequest): void {
    this.#busy = true;
    this.#idleTimer?.cancel();
    const answered = this.#answerAtOnce(asked) ?? this.#answer(asked);
    this.#done = answered.finally(() => {
      this.#busy = false;
      if (this.#closed.signal.aborted) return;
      const next = this.#next;
      this.#next = undefined;
      if (next === undefined) this.#armIdleTimer();
      else this.#begin(next);
    });
  }

  /** Sends what is in memory in one step: no wait but for the peer to take it. Never rejects. */
  #answerAtOnce({ request, number }: NumberedRequest): Promise<void> | undefined {
    if (request.type !== 'get' || !this.#sender.sendsWhole) return undefined;
    const { handler, limits, metrics } = this.#context;
    const { key, range, mode } = request;
    const leave = limits.enterRequest(this.#peer, range.length);
    // The long way refuses it.
    if (typeof leave === 'string') return undefined;
    let held: HeldRange | undefined;
    try {
      held = handler.hold?.(key, range, { peer: this.#peer, mode });
    } catch (error) {
      leave();
      return this.#answerError(error, number);
    }
    if (held === undefined) {
      leave();
      return undefined;
    }
    metrics.servingBytes.set(limits.bytes);
    const sending = held;
    const frame = dataFrame({ ...sending, offset: range.offset }, { last: true });
    const sent = this.#sender.frames([frame], number).then(
      () => this.#served(range.length),
      (error: unknown) => this.#answerError(error, number),
    );
    return sent.finally(() => {
      sending.release();
      leave();
      metrics.servingBytes.set(limits.bytes);
    });
  }

  #served(sizeBytes: number): void {
    this.#context.metrics.servedBytes.add(sizeBytes);
    this.#context.metrics.servedBlocks.add();
  }

  /** Never rejects: failures go to the peer as far as it still listens, and are counted. */
  async #answer({ request, number }: NumberedRequest): Promise<void> {
    const { clock, metrics, timeouts } = this.#context;
    const leave = this.#context.limits.enterRequest(this.#peer, bytesOf(request));
    if (typeof leave === 'string') {
      await this.#answerBusy(leave, number);
      return;
    }
    const keepAlive = this.#startKeepAlive(number);
    try {
      metrics.servingBytes.set(this.#context.limits.bytes);
      const what = `a ${request.type} of ${this.#peer}`;
      const options = { what, timeoutMs: timeouts.requestTimeoutMs, signal: this.#closed.signal };
      await withDeadline(clock, options, (signal) => this.#serve({ request, number }, signal));
    } catch (error) {
      await this.#answerError(error, number);
    } finally {
      keepAlive.cancel();
      leave();
      metrics.servingBytes.set(this.#context.limits.bytes);
    }
  }

  async #serve({ request, number }: NumberedRequest, signal: AbortSignal): Promise<void> {
    const { handler } = this.#context;
    if (request.type === 'holds') {
      const tiers = await handler.holds(request.ids, signal);
      await this.#sender.reply(tiersReply(tiers), number);
    } else if (request.type === 'get') {
      await this.#serveRange(request, number, signal);
    } else {
      if (!this.#sender.sendsWhole) throw new Error('many blocks are of a later version');
      const context = {
        ...{ handler, sender: this.#sender, number },
        asked: { peer: this.#peer, mode: request.mode },
        onServed: (sizeBytes: number) => this.#served(sizeBytes),
        onMissed: (error: unknown) => this.#wordsFor(error),
      };
      await serveMany(request.keys, context, signal);
    }
  }

  async #serveRange(
    { key, range, mode }: BlockRequest & { type: 'get' },
    number: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { handler, metrics } = this.#context;
    let sent = 0;
    for await (const bytes of handler.serve(key, range, signal, { peer: this.#peer, mode })) {
      if (signal.aborted) throw abortReason(signal);
      if (sent + bytes.byteLength > range.length) throw new Error('more bytes than asked for');
      const offset = range.offset + sent;
      if (bytes.byteLength === 0) await this.#sender.reply({ type: 'working' }, number);
      else await this.#sender.bytes({ bytes, offset }, number, signal);
      sent += bytes.byteLength;
      metrics.servedBytes.add(bytes.byteLength);
    }
    if (sent !== range.length) throw new Error(`${sent} bytes instead of ${range.length}`);
    await this.#sender.reply({ type: 'end' }, number);
    metrics.servedBlocks.add();
  }

  async #answerBusy(limit: LimitName, number: number): Promise<void> {
    const { refusals, metrics } = this.#context;
    refusals.limit(limit, { peer: this.#peer });
    metrics.servedErrors('busy').add();
    await this.#sendLast(errorReply('busy', `too much is being served (${limit})`), number);
  }

  async #answerError(error: unknown, number: number): Promise<void> {
    if (this.#closed.signal.aborted) {
      this.#context.metrics.servedErrors('aborted').add();
      return;
    }
    await this.#sendLast(this.#wordsFor(error), number);
  }

  /** The reply that says why a block does not come; counts and logs it when it is a failure. */
  #wordsFor(error: unknown): WireRecord {
    const { logger, metrics } = this.#context;
    if (error instanceof ReferralError) return referralReply(error);
    if (error instanceof PeerError && error.code === 'absent') {
      return errorReply(error.code, error.message);
    }
    const code = reasonOf(error);
    metrics.servedErrors(code).add();
    logger.warn({ peer: this.#peer, code, err: error }, 'a peer got an error instead of a block');
    return errorReply(code, error instanceof Error ? error.message : String(error));
  }

  async #sendLast(header: WireRecord, number: number): Promise<void> {
    const { logger } = this.#context;
    try {
      await this.#sender.reply(header, number);
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
    this.#sender
      .reply(errorReply(code, message), 0)
      .catch((cause: unknown) => logger.debug({ err: cause }, 'the peer is gone already'))
      .finally(() => this.#socket.destroy());
  }

  #startKeepAlive(number: number): Timer {
    const { clock, timeouts, logger } = this.#context;
    this.#sender.listen();
    let timer: Timer;
    const tick = () => {
      timer = clock.setTimer(timeouts.keepAliveMs, tick);
      if (this.#sender.silentMs < timeouts.keepAliveMs) return;
      this.#sender.reply({ type: 'working' }, number).catch((error: unknown) => {
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

/** How much of a limit a request takes. */
function bytesOf(request: BlockRequest): number {
  if (request.type === 'get') return request.range.length;
  if (request.type === 'holds') return 0;
  return request.keys.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** How an error of ours is named to the peer. */
function reasonOf(error: unknown): 'busy' | 'timeout' | 'failed' {
  if (error instanceof PeerError && error.code === 'busy') return 'busy';
  if (error instanceof CodedError && error.code === 'deadline') return 'timeout';
  return 'failed';
}
