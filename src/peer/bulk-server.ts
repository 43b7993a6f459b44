import type { Duplex } from 'node:stream';
import type { Random } from '../runtime/random.ts';
import { withDeadline } from '../runtime/deadline.ts';
import { PeerError } from './block-exchange.ts';
import { errorReply } from './block-message.ts';
import type { BulkListener } from './bulk-listener.ts';
import { BulkSession, type SessionContext } from './bulk-session.ts';
import { encodeFrame } from './frame-codec.ts';
import { hangUp } from './hang-up.ts';
import type { BulkTls } from './bulk-tls.ts';
import { bulkProof, bulkTlsOf, type MemberCredentials } from './member-credentials.ts';
import type { Endpoint, Listening, Network, NetworkConnection } from './network.ts';
import { acceptMember, type ProvedSocket } from './proved-socket.ts';
import { StrangerRoom } from './stranger-room.ts';
import { acceptTls, type SecuredSocket } from './tls-accept.ts';

/** A stranger must have proved who it is within this. */
const PROOF_TIMEOUT_MS = 2000;
const STOP_TIMEOUT_MS = 2000;

/**
 * Takes bulk connections on this thread. Whoever connects proves that it belongs to the group, and sees our proof;
 * anyone else is cut off.
 */
export class BulkServer implements BulkListener {
  readonly #network: Network;
  readonly #credentials: MemberCredentials;
  readonly #random: Random;
  readonly #context: SessionContext;
  readonly #strangers: StrangerRoom;
  readonly #shared: boolean;
  readonly #tls: BulkTls | undefined;
  readonly #sessions = new Set<BulkSession>();
  #listening: Listening | undefined;

  constructor(options: {
    network: Network;
    credentials: MemberCredentials;
    random: Random;
    context: SessionContext;
    strangersMax: number;
    /** Other threads listen on the same port. */
    shared?: boolean;
  }) {
    this.#network = options.network;
    this.#credentials = options.credentials;
    this.#random = options.random;
    this.#context = options.context;
    this.#strangers = new StrangerRoom(options.strangersMax);
    this.#shared = options.shared ?? false;
    this.#tls = bulkTlsOf(options.credentials);
  }

  /** The port that it listens on; 0 while it does not. */
  get port(): number {
    return this.#listening?.port ?? 0;
  }

  /** @throws the system's error when the address cannot be listened on */
  async start(at: Endpoint): Promise<void> {
    const onConnection = (connection: NetworkConnection) => this.#onConnection(connection);
    this.#listening = await this.#network.listen(at, onConnection, { shared: this.#shared });
  }

  /** Cuts off everyone. */
  async stop(): Promise<void> {
    const listening = this.#listening;
    this.#listening = undefined;
    await listening?.close();
    this.#strangers.clear();
    const { clock, logger } = this.#context;
    const closing = Promise.all([...this.#sessions].map((session) => session.close()));
    const options = { what: 'closing bulk sessions', timeoutMs: STOP_TIMEOUT_MS };
    await withDeadline(clock, options, () => closing).catch((error: unknown) => {
      logger.warn({ err: error }, 'some requests of peers did not end');
    });
  }

  #onConnection({ socket, remoteAddress }: NetworkConnection): void {
    const { logger, refusals } = this.#context;
    socket.on('error', (error) => logger.debug({ err: error }, 'a bulk connection broke'));
    if (this.#listening === undefined) {
      socket.destroy();
      return;
    }
    const away = new AbortController();
    const leave = this.#strangers.enter(remoteAddress, () => {
      refusals.limit('strangers', { address: remoteAddress });
      away.abort(crowdedOut());
    });
    this.#prove(socket, away.signal)
      .then((proved) => this.#admit(proved))
      .catch((error: unknown) => refusals.stranger(error, { address: remoteAddress }))
      .finally(leave);
  }

  async #prove(socket: Duplex, away: AbortSignal): Promise<ProvedSocket> {
    const { clock } = this.#context;
    const what = 'the proof of a stranger';
    const options = { what, timeoutMs: PROOF_TIMEOUT_MS, signal: away };
    return await withDeadline(clock, options, async (signal) => {
      const secured = await this.#secure(socket, signal);
      const proof = bulkProof(this.#credentials, this.#random, secured.channel);
      return await acceptMember({ socket: secured.socket, clock, proof }, signal);
    });
  }

  async #secure(
    socket: Duplex,
    signal: AbortSignal,
  ): Promise<Partial<SecuredSocket> & { socket: Duplex }> {
    const tls = this.#tls;
    if (tls === undefined) return { socket };
    const { versions } = this.#credentials;
    return await acceptTls({ socket, tls, versions, clock: this.#context.clock }, signal);
  }

  #admit(proved: ProvedSocket): void {
    const { socket, peer, version } = proved;
    const { limits, refusals, metrics, clock } = this.#context;
    if (this.#listening === undefined) {
      socket.destroy();
      return;
    }
    const leave = limits.enterConnection(peer);
    if (typeof leave === 'string') {
      refusals.limit(leave, { peer });
      metrics.servedErrors('busy').add();
      const words = errorReply('busy', 'too many bulk connections');
      hangUp(socket, clock, encodeFrame(words, 0, { version, request: 0 }));
      return;
    }
    const session = new BulkSession(socket, proved, this.#context);
    this.#sessions.add(session);
    socket.once('close', () => {
      this.#sessions.delete(session);
      leave();
    });
    proved.listen((chunk) => session.push(chunk));
  }
}

function crowdedOut(): PeerError {
  return new PeerError('busy', 'it made room for others', { retryable: true });
}
