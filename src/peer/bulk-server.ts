import type { Duplex } from 'node:stream';
import type { NodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import { errorReply } from './block-message.ts';
import { BulkSession, type SessionContext } from './bulk-session.ts';
import { encodeFrame, FRAME_VERSION } from './frame-codec.ts';
import type { Endpoint, Listening, Network } from './network.ts';
import { decodePreamble, PREAMBLE_BYTES } from './preamble.ts';
import type { TicketOffice } from './ticket-office.ts';

/** A stranger must say who it is within this. */
const PREAMBLE_TIMEOUT_MS = 2000;
const STOP_TIMEOUT_MS = 2000;

/**
 * Takes bulk connections. A connection proves who it is by a ticket that its peer got over the
 * authenticated control channel; anyone else is cut off without an answer.
 *
 * Tickets authenticate, nothing encrypts: blocks cross the network as they are.
 */
export class BulkServer {
  readonly #network: Network;
  readonly #tickets: TicketOffice;
  readonly #context: SessionContext;
  readonly #strangersMax: number;
  readonly #strangers = new Set<Duplex>();
  readonly #sessions = new Set<BulkSession>();
  #listening: Listening | undefined;

  constructor(options: {
    network: Network;
    tickets: TicketOffice;
    context: SessionContext;
    strangersMax: number;
  }) {
    this.#network = options.network;
    this.#tickets = options.tickets;
    this.#context = options.context;
    this.#strangersMax = options.strangersMax;
  }

  /** The port that it listens on; 0 while it does not. */
  get port(): number {
    return this.#listening?.port ?? 0;
  }

  /** @throws the system's error when the address cannot be listened on */
  async start(at: Endpoint): Promise<void> {
    this.#listening = await this.#network.listen(at, (socket) => this.#onConnection(socket));
  }

  /** Cuts off everyone. */
  async stop(): Promise<void> {
    const listening = this.#listening;
    this.#listening = undefined;
    await listening?.close();
    for (const socket of this.#strangers) socket.destroy();
    const { clock, logger } = this.#context;
    const closing = Promise.all([...this.#sessions].map((session) => session.close()));
    const options = { what: 'closing bulk sessions', timeoutMs: STOP_TIMEOUT_MS };
    await withDeadline(clock, options, () => closing).catch((error: unknown) => {
      logger.warn({ err: error }, 'some requests of peers did not end');
    });
  }

  #onConnection(socket: Duplex): void {
    const { logger } = this.#context;
    socket.on('error', (error) => logger.debug({ err: error }, 'a bulk connection broke'));
    if (this.#strangers.size >= this.#strangersMax || this.#listening === undefined) {
      this.#cutOff(socket, 'too-many');
      return;
    }
    this.#strangers.add(socket);
    const preamble = new Uint8Array(PREAMBLE_BYTES);
    let filled = 0;
    const timer = this.#context.clock.setTimer(PREAMBLE_TIMEOUT_MS, () => {
      this.#cutOff(socket, 'timeout');
    });
    const onData = (chunk: Uint8Array) => {
      const length = Math.min(chunk.byteLength, PREAMBLE_BYTES - filled);
      preamble.set(chunk.subarray(0, length), filled);
      filled += length;
      if (filled < PREAMBLE_BYTES) return;
      socket.off('data', onData);
      timer.cancel();
      this.#strangers.delete(socket);
      this.#admit(socket, preamble, chunk.subarray(length));
    };
    socket.on('data', onData);
    socket.once('close', () => {
      timer.cancel();
      this.#strangers.delete(socket);
    });
  }

  #admit(socket: Duplex, bytes: Uint8Array, rest: Uint8Array): void {
    const peer = this.#peerOf(socket, bytes);
    if (peer === undefined) return;
    const leave = this.#context.limits.enterConnection(peer);
    if (leave === undefined) {
      this.#context.metrics.servedErrors('busy').add();
      socket.end(encodeFrame(errorReply('busy', 'too many bulk connections')));
      destroyLater(socket, this.#context.clock);
      return;
    }
    const session = new BulkSession(socket, peer, this.#context);
    this.#sessions.add(session);
    socket.once('close', () => {
      this.#sessions.delete(session);
      leave();
    });
    socket.on('data', (chunk: Uint8Array) => session.push(chunk));
    if (rest.byteLength > 0) session.push(rest);
  }

  #peerOf(socket: Duplex, bytes: Uint8Array): NodeId | undefined {
    const preamble = readPreamble(bytes, this.#context.logger);
    if (preamble === undefined) {
      this.#cutOff(socket, 'preamble');
      return undefined;
    }
    const peer = this.#tickets.redeem(preamble.ticket);
    if (peer === undefined) {
      this.#cutOff(socket, 'ticket');
      return undefined;
    }
    if (preamble.version === FRAME_VERSION) return peer;
    const message = `version ${preamble.version} is not spoken here, only ${FRAME_VERSION}`;
    this.#context.metrics.servedErrors('protocol').add();
    socket.end(encodeFrame(errorReply('protocol', message)));
    destroyLater(socket, this.#context.clock);
    return undefined;
  }

  #cutOff(socket: Duplex, reason: string): void {
    this.#context.metrics.strangers(reason).add();
    this.#context.logger.debug({ reason }, 'a stranger was cut off');
    socket.destroy();
  }
}

function readPreamble(bytes: Uint8Array, logger: Logger) {
  try {
    return decodePreamble(bytes);
  } catch (error) {
    logger.debug({ err: error }, 'a connection to the bulk port that is none of ours');
    return undefined;
  }
}

/** Leaves time for the last words to arrive, but not for ever. */
function destroyLater(socket: Duplex, clock: Clock): void {
  const timer = clock.setTimer(PREAMBLE_TIMEOUT_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
  socket.resume();
}
