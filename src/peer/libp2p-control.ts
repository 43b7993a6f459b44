import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import { identify } from '@libp2p/identify';
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { tcp } from '@libp2p/tcp';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { type NodeId, toNodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';
import { abortReason, withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import { PeerError } from './block-exchange.ts';
import { errorReply } from './block-message.ts';
import type { WireRecord } from './checked-msgpack.ts';
import type {
  ControlAnswer,
  ControlHandler,
  ControlTarget,
  ControlTransport,
} from './control-plane.ts';
import { ConnectionProofs } from './connection-proofs.ts';
import { ControlGate } from './control-gate.ts';
import { hostOf, tcpMultiaddr, withPeerId } from './dialable-addresses.ts';
import { encodeFrame } from './frame-codec.ts';
import { idleConnections } from './idle-connections.ts';
import type { PeerIdentity } from './identity.ts';
import type { ProofOptions } from './member-proof.ts';
import { receiveMessage } from './receive-message.ts';
import type { Refusals } from './refusals.ts';
import type { ServeLimitOptions } from './serve-limits.ts';

/** One stream carries one question and its answer. */
const PROTOCOL = '/cachemesh/control/2';
/** The first stream of a connection, in either direction: nothing is believed before it. */
const PROOF_PROTOCOL = '/cachemesh/proof/1';
const ANSWER_TIMEOUT_MS = 5000;
const STOP_TIMEOUT_MS = 2000;
const REFUSAL_TIMEOUT_MS = 200;
/** A connection may be open this long before both sides have proved themselves. */
const UNPROVED_TIMEOUT_MS = 10_000;
const STREAMS_PER_CONNECTION = 64;
/** Either side begins at most one; the second is for a race. */
const PROOFS_PER_CONNECTION = 2;
/** Of both protocols and of libp2p's own, so that a stranger's streams are few, too. */
const INBOUND_STREAMS_MAX = 2 * STREAMS_PER_CONNECTION;
/** What arrives on a stream before somebody reads it; a message has 64 KiB at most. */
const UNREAD_BYTES_MAX = 128 * 1024;
/** Beyond so many, those that nobody uses are closed. */
const CONNECTIONS_KEPT = 512;
/** Of 4,000 nodes that all come to us at once, each with one connection in either direction. */
const CONNECTIONS_MAX = 8192;
/** A whole rack may join at once through one address. */
const INBOUND_PER_SECOND = 200;
const INBOUND_PENDING = 256;

/** Control messages over libp2p: TCP, noise (which proves the peer ids) and yamux. */
export class Libp2pControl implements ControlTransport {
  readonly nodeId: NodeId;
  readonly #identity: PeerIdentity;
  readonly #host: string;
  readonly #wantedPort: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onLost = new Set<(node: NodeId) => void>();
  readonly #proofs: ConnectionProofs;
  readonly #refusals: Refusals;
  readonly #gate: ControlGate;
  #handler: ControlHandler | undefined;
  #node: Libp2p | undefined;
  #port = 0;

  constructor(options: {
    identity: PeerIdentity;
    /** What is proved on each connection. */
    proof: () => ProofOptions;
    /** Told of all that is refused. */
    refusals: Refusals;
    /** Default {@link DEFAULT_CONTROL_LIMITS}. */
    limits?: ServeLimitOptions | undefined;
    host: string;
    port: number;
    clock: Clock;
    logger: Logger;
  }) {
    this.nodeId = options.identity.nodeId;
    this.#identity = options.identity;
    this.#refusals = options.refusals;
    this.#gate = new ControlGate(options.refusals, options.limits);
    this.#proofs = new ConnectionProofs(options.proof, options.clock);
    this.#host = options.host;
    this.#wantedPort = options.port;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  get port(): number {
    return this.#port;
  }

  handle(handler: ControlHandler): void {
    this.#handler = handler;
  }

  watch(onLost: (node: NodeId) => void): void {
    this.#onLost.add(onLost);
  }

  async start(): Promise<void> {
    const node = await createLibp2p({
      privateKey: this.#identity.privateKey,
      addresses: { listen: [tcpMultiaddr(this.#host, this.#wantedPort)] },
      transports: [tcp({ dialOpts: { noDelay: true }, listenOpts: { noDelay: true } })],
      connectionEncrypters: [noise()],
      streamMuxers: [
        yamux({
          maxInboundStreams: INBOUND_STREAMS_MAX,
          streamOptions: { maxReadBufferLength: UNREAD_BYTES_MAX },
        }),
      ],
      services: { identify: identify() },
      // Membership has its own checks; these would ping each connection every 10 s.
      connectionMonitor: { enabled: false },
      connectionManager: {
        maxConnections: CONNECTIONS_MAX,
        inboundConnectionThreshold: INBOUND_PER_SECOND,
        maxIncomingPendingConnections: INBOUND_PENDING,
        reconnectRetries: 0,
      },
      start: false,
    });
    await node.handle(PROTOCOL, (stream, connection) => this.#serve(stream, connection), {
      maxInboundStreams: STREAMS_PER_CONNECTION,
      maxOutboundStreams: STREAMS_PER_CONNECTION,
    });
    await node.handle(PROOF_PROTOCOL, (stream, connection) => this.#accept(stream, connection), {
      maxInboundStreams: PROOFS_PER_CONNECTION,
      maxOutboundStreams: PROOFS_PER_CONNECTION,
    });
    node.addEventListener('connection:open', ({ detail }) => this.#onOpen(detail));
    node.addEventListener('connection:close', ({ detail }) => this.#gate.closed(detail));
    node.addEventListener('peer:disconnect', ({ detail }) => {
      for (const onLost of this.#onLost) onLost(toNodeId(detail.toString()));
    });
    // Kept before it has started, so that `stop` also ends what started halfway.
    this.#node = node;
    await node.start();
    this.#port = Number(portOf(node.getMultiaddrs().map((address) => address.toString())));
  }

  async stop(): Promise<void> {
    const node = this.#node;
    this.#node = undefined;
    if (node === undefined) return;
    const options = { what: 'stopping libp2p', timeoutMs: STOP_TIMEOUT_MS };
    await withDeadline(this.#clock, options, async () => node.stop()).catch((error: unknown) => {
      this.#logger.warn({ err: error }, 'libp2p did not stop cleanly');
    });
  }

  async ask(
    target: ControlTarget,
    message: WireRecord,
    signal: AbortSignal,
  ): Promise<ControlAnswer> {
    const connection = await this.#connect(target, signal);
    let stream: Stream;
    try {
      await this.#proofs.ensure(connection, signal, (inner) =>
        connection.newStream(PROOF_PROTOCOL, {
          signal: inner,
          maxOutboundStreams: STREAMS_PER_CONNECTION,
        }),
      );
      // Whoever of the two began the proof: it is a stranger's connection no more.
      this.#gate.proved(connection);
      stream = await connection.newStream(PROTOCOL, {
        signal,
        maxOutboundStreams: STREAMS_PER_CONNECTION,
      });
    } catch (error) {
      throw signal.aborted ? abortReason(signal) : asPeerError(error);
    }
    try {
      stream.send(encodeFrame(message));
      const reply = await receiveMessage(stream, signal);
      const host = hostOf(connection.remoteAddr.toString());
      return { from: toNodeId(connection.remotePeer.toString()), host, reply };
    } catch (error) {
      throw signal.aborted ? abortReason(signal) : asPeerError(error);
    } finally {
      // Both have said all: resetting frees the stream at once on both sides.
      stream.abort(new Error('the answer is complete'));
    }
  }

  disconnect(node: NodeId): void {
    const connections = this.#node?.getConnections(peerIdFromString(node)) ?? [];
    for (const connection of connections) connection.abort(new Error('the peer does not answer'));
  }

  async #connect(target: ControlTarget, signal: AbortSignal): Promise<Connection> {
    const node = this.#node;
    if (node === undefined) throw new PeerError('unreachable', 'the peer host is not running');
    const { nodeId, addresses } = target;
    try {
      if (nodeId !== undefined) {
        const open = node.getConnections(peerIdFromString(nodeId));
        // The newest one: a peer that came back at another address leaves one behind that leads nowhere.
        const usable = open.findLast((connection) => connection.status === 'open');
        if (usable !== undefined) return usable;
      }
      if (addresses.length === 0) {
        throw new PeerError('unreachable', `no address of ${nodeId} is known`, { retryable: true });
      }
      const dialled = addresses.map((address) =>
        multiaddr(nodeId === undefined ? address : withPeerId(address, nodeId)),
      );
      return await node.dial(dialled, { signal });
    } catch (error) {
      throw signal.aborted ? abortReason(signal) : asPeerError(error);
    }
  }

  #onOpen(connection: Connection): void {
    this.#gate.opened(connection);
    const all = this.#node?.getConnections() ?? [];
    for (const idle of idleConnections(all, CONNECTIONS_KEPT, this.#clock)) {
      const options = { what: 'closing an idle connection', timeoutMs: STOP_TIMEOUT_MS };
      withDeadline(this.#clock, options, (signal) => idle.close({ signal })).catch(
        (error: unknown) => idle.abort(error instanceof Error ? error : new Error('idle')),
      );
    }
    this.#clock.setTimer(UNPROVED_TIMEOUT_MS, () => {
      if (connection.status !== 'open' || this.#proofs.has(connection)) return;
      const peer = connection.remotePeer.toString();
      this.#refusals.stranger(undefined, { peer });
      connection.abort(new Error('no proof of membership'));
    });
  }

  async #accept(stream: Stream, connection: Connection): Promise<void> {
    const from = toNodeId(connection.remotePeer.toString());
    const options = { what: `the proof of ${from}`, timeoutMs: ANSWER_TIMEOUT_MS };
    try {
      await withDeadline(this.#clock, options, async (signal) => {
        await this.#proofs.accept(stream, connection, signal);
        this.#gate.proved(connection);
        await stream.close({ signal });
      });
    } catch (error) {
      this.#refusals.stranger(error, { peer: from });
      // Time for the refusal to arrive; the connection then goes with all its streams.
      this.#clock.setTimer(REFUSAL_TIMEOUT_MS, () => connection.abort(new Error('no member')));
    }
  }

  async #serve(stream: Stream, connection: Connection): Promise<void> {
    const from = toNodeId(connection.remotePeer.toString());
    const options = { what: `a control message of ${from}`, timeoutMs: ANSWER_TIMEOUT_MS };
    const leave = this.#gate.enterRequest(from);
    try {
      await withDeadline(this.#clock, options, async (signal) => {
        if (!this.#proofs.has(connection)) {
          throw new PeerError('forbidden', `${from} asks before it has proved that it is a member`);
        }
        const reply =
          typeof leave === 'string'
            ? errorReply('busy', `too many control messages (${leave})`)
            : await this.#handler?.(from, await receiveMessage(stream, signal));
        if (reply === undefined) throw new PeerError('failed', 'nobody answers here');
        stream.send(encodeFrame(reply));
        await stream.close({ signal });
      });
    } catch (error) {
      this.#logger.debug({ peer: from, err: error }, 'a control stream broke');
      stream.abort(error instanceof Error ? error : new Error('broken'));
    } finally {
      if (typeof leave !== 'string') leave();
    }
  }
}

function portOf(addresses: readonly string[]): string | undefined {
  return addresses.map((address) => /\/tcp\/([0-9]+)/.exec(address)?.[1]).find(Boolean);
}

function asPeerError(cause: unknown): PeerError {
  if (cause instanceof PeerError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  const protocol = cause instanceof Error && cause.name === 'UnsupportedProtocolError';
  const code = protocol ? 'protocol' : 'unreachable';
  return new PeerError(code, `control channel: ${text}`, { retryable: !protocol, cause });
}
