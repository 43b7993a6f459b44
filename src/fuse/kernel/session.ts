import { Errno, FsError } from '../../posix/errno.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { FuseFileSystem } from '../file-system.ts';

import type { InitReply, InitWishes } from '../wire/init.ts';
import { negotiateInit } from '../wire/init.ts';
import { OPCODES, type OpcodeName } from '../wire/opcodes.ts';
import { encodeOutHeader } from '../wire/replies.ts';
import type { Request, RequestOf } from '../wire/request.ts';
import { decodeRequest } from '../wire/request.ts';
import type { RequestHeader } from '../wire/request-header.ts';
import { peekUnique } from '../wire/request-header.ts';
import { WireError } from '../wire/wire-error.ts';
import type { Answer, ReplyChannel } from './answer.ts';
import { EMPTY_ANSWER } from './answer.ts';
import { Call, RequestAbortedError } from './call.ts';
import type { HandledName } from './handlers.ts';
import { answerRequest, isHandled } from './handlers.ts';
import { interruptManners } from './interrupt-manners.ts';
import type { SessionMetrics } from './session-metrics.ts';
import { ANSWERED_UNIQUE } from './worker-messages.ts';

/** How long an aborted operation may take to end before its request is answered without it. */
const INTERRUPT_GRACE_MS = 500;
/** An interrupt may overtake its request, which another worker posts: the kernel then asks again. */
const INTERRUPT_RETRY_MS = 2;
/** The kernel bounds requests by the number of threads that wait; this is far beyond. */
const IN_FLIGHT_MAX = 100_000;

/** What a session needs. */
export interface SessionOptions {
  readonly operations: FuseFileSystem;
  readonly channel: ReplyChannel;
  readonly wishes: InitWishes;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: SessionMetrics;
}

/** Turns request frames into calls of FuseFileSystem and their results into reply frames. */
export class FuseSession {
  readonly #options: SessionOptions;
  readonly #calls = new Map<bigint, Call>();
  #init: InitReply | undefined;
  #ended: RequestAbortedError | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** The outcome of the handshake, once there was one. */
  get init(): InitReply | undefined {
    return this.#init;
  }

  /** Requests that were not answered yet. */
  get inFlight(): number {
    return this.#calls.size;
  }

  /** Takes one frame as it was read from the device and answers it sooner or later. Never throws. */
  handle(frame: Uint8Array): void {
    try {
      this.#dispatch(decodeRequest(frame));
    } catch (error) {
      this.#onBadFrame(frame, error);
    }
  }

  /** Aborts what is in flight. Later requests are aborted from the beginning. */
  end(): void {
    // Not EINTR: programs repeat calls that a signal interrupted.
    this.#ended = new RequestAbortedError('the mount ends', Errno.EIO);
    for (const call of this.#calls.values()) this.#cutShort(call, this.#ended);
  }

  #dispatch(request: Request): void {
    const { name, header } = request;
    if (name === undefined) {
      this.#options.logger.debug({ opcode: header.opcode }, 'unknown FUSE request');
      this.#send(header.unique, Errno.ENOSYS, EMPTY_ANSWER);
      return;
    }
    if (header.unique === ANSWERED_UNIQUE) {
      this.#closed(request);
      return;
    }
    const status = this.#statusOf(name);
    if (status !== undefined) this.#send(header.unique, status, EMPTY_ANSWER);
    else if (isHandled(name)) this.#serve(request as RequestOf<HandledName>);
    else this.#control(request);
  }

  /** What a request is answered with that is not served; undefined for all others. */
  #statusOf(name: OpcodeName): number | undefined {
    const { kind } = OPCODES[name];
    if (name === 'ioctl') return Errno.ENOTTY;
    if (kind === 'unsupported') return Errno.ENOSYS;
    if (this.#options.operations.mutations === undefined) {
      if (kind === 'write') return Errno.EROFS;
      if (kind === 'local') return Errno.ENOSYS;
      if (kind === 'sync') return 0;
    }
    return kind === 'write' && !isHandled(name) ? Errno.ENOSYS : undefined;
  }

  /** A worker has answered; what is left is to forget the handle. */
  #closed(request: Request): void {
    const { operations } = this.#options;
    if (request.name === 'release') operations.release(request.body.fh);
    else if (request.name === 'releasedir') operations.releasedir(request.body.fh);
  }

  #control(request: Request): void {
    const { operations } = this.#options;
    switch (request.name) {
      case 'init':
        this.#handshake(request);
        break;
      case 'forget':
        operations.forget(request.header.ino, request.body.count);
        break;
      case 'batchForget':
        for (const { ino, count } of request.body.items) operations.forget(ino, count);
        break;
      case 'interrupt':
        this.#onInterrupt(request.header, request.body.unique);
        break;
      case 'destroy':
        this.#send(request.header.unique, 0, EMPTY_ANSWER);
        break;
      default: // NOTIFY_REPLY answers a notice that is never sent.
        break;
    }
  }

  #handshake({ header, body }: RequestOf<'init'>): void {
    const init = negotiateInit(body, this.#options.wishes);
    if (init === undefined) {
      const { major, minor } = body;
      this.#options.logger.error({ major, minor }, "the kernel's FUSE protocol is too old");
      this.#send(header.unique, Errno.EPROTO, EMPTY_ANSWER);
      return;
    }
    this.#init = init;
    this.#send(header.unique, 0, { parts: [init.payload] });
  }

  #serve(request: RequestOf<HandledName>): void {
    const { metrics, clock, operations } = this.#options;
    const call = new Call(request.header, request.name, clock.nowMs());
    if (this.#calls.size >= IN_FLIGHT_MAX) {
      metrics.overloaded.add();
      this.#send(call.unique, Errno.EAGAIN, EMPTY_ANSWER);
      return;
    }
    this.#calls.set(call.unique, call);
    metrics.inFlight.set(this.#calls.size);
    if (this.#ended !== undefined) this.#cutShort(call, this.#ended);
    if (request.name === 'read') {
      metrics.readsByMain.add();
      metrics.readSize.observe((request as RequestOf<'read'>).body.size);
    }
    answerRequest(operations, call, request).then(
      (answer) => this.#finish(call, 0, answer),
      (error: unknown) => this.#finish(call, this.#errnoOf(call, error), EMPTY_ANSWER),
    );
  }

  /** Sends the answer, unless the request was answered without it. */
  #finish(call: Call, errno: number, answer: Answer): void {
    try {
      const isLate = call.isAnswered;
      if (!isLate) this.#close(call);
      const refused = isLate || this.#send(call.unique, errno, answer) !== 0;
      if (refused) answer.undo?.();
    } catch (error) {
      this.#bug(error, call.method);
    } finally {
      this.#release(call, answer);
    }
  }

  #release(call: Call, answer: Answer): void {
    try {
      answer.release?.();
    } catch (error) {
      this.#bug(error, call.method);
    }
  }

  #close(call: Call): void {
    const { clock, metrics } = this.#options;
    call.isAnswered = true;
    this.#calls.delete(call.unique);
    metrics.inFlight.set(this.#calls.size);
    metrics.duration(call.method).observe((clock.nowMs() - call.startedMs) / 1000);
  }

  #onInterrupt(header: RequestHeader, unique: bigint): void {
    const { clock, metrics } = this.#options;
    const call = this.#calls.get(unique);
    if (call === undefined) {
      // EAGAIN makes the kernel send the interrupt once more if the request is still open, and is
      // refused if it is not. The pause keeps that from spinning.
      clock.setTimer(INTERRUPT_RETRY_MS, () => {
        this.#options.channel.send([encodeOutHeader(header.unique, Errno.EAGAIN, 0)]);
      });
      return;
    }
    metrics.interrupted.add();
    this.#interrupt(call, new RequestAbortedError(`${call.method} was interrupted`, Errno.EINTR));
  }

  #interrupt(call: Call, reason: RequestAbortedError): void {
    const { patienceMs, mayBeAbandoned } = interruptManners(call.method);
    if (mayBeAbandoned) this.#cutShort(call, reason);
    else if (patienceMs === 0) call.abort(reason);
    else this.#options.clock.setTimer(patienceMs, () => call.abort(reason));
  }

  /** Nobody can be killed before there is an answer, so there is one in bounded time. */
  #cutShort(call: Call, reason: RequestAbortedError): void {
    call.abort(reason);
    this.#options.clock.setTimer(INTERRUPT_GRACE_MS, () => {
      if (call.isAnswered) return;
      this.#options.metrics.abandoned.add();
      this.#options.logger.warn(
        { method: call.method },
        'an operation goes on after its interrupt',
      );
      this.#finish(call, reason.errno, EMPTY_ANSWER);
    });
  }

  #errnoOf(call: Call, error: unknown): number {
    const { metrics, logger } = this.#options;
    if (error instanceof FsError) {
      // Operations say EINTR for every abort; why it came decides.
      if (error.code === 'EINTR' && call.abortReason !== undefined) return call.abortReason.errno;
      metrics.failed(error.code);
      if (error.code === 'EIO') logger.warn({ method: call.method, error }, 'a request failed');
      return error.errno;
    }
    if (call.abortReason !== undefined) return call.abortReason.errno;
    this.#bug(error, call.method);
    return Errno.EIO;
  }

  #bug(error: unknown, method: string): void {
    this.#options.metrics.bugs.add();
    this.#options.logger.error({ method, error }, 'a request met a bug');
  }

  #onBadFrame(frame: Uint8Array, error: unknown): void {
    const { metrics, logger } = this.#options;
    if (!(error instanceof WireError)) {
      this.#bug(error, 'dispatch');
      return;
    }
    metrics.malformed.add();
    const unique = peekUnique(frame);
    logger.error({ error, bytes: frame.byteLength }, 'malformed FUSE request');
    if (unique !== undefined) this.#send(unique, Errno.EIO, EMPTY_ANSWER);
  }

  #send(unique: bigint, errno: number, { parts }: Answer): number {
    const payload = errno === 0 ? parts : [];
    const length = payload.reduce((sum, part) => sum + part.byteLength, 0);
    const header = encodeOutHeader(unique, errno, length);
    const refusal = this.#options.channel.send([header, ...payload]);
    if (refusal !== 0) this.#onRefusal(unique, refusal);
    return refusal;
  }

  #onRefusal(unique: bigint, errno: number): void {
    const { metrics, logger, channel } = this.#options;
    metrics.refused.add();
    const fields = { unique: unique.toString(), errno };
    if (errno === Errno.ENOENT || errno === Errno.ENODEV) {
      logger.debug(fields, 'nobody waits for a reply');
      return;
    }
    logger.error(fields, 'the kernel refused a reply');
    // Whoever waits must not wait for ever.
    channel.send([encodeOutHeader(unique, Errno.EIO, 0)]);
  }
}
