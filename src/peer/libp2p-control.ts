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
import type { WireRecord } from './checked-msgpack.ts';
import type {
  ControlAnswer,
  ControlHandler,
  ControlTarget,
  ControlTransport,
} from './control-plane.ts';
import { hostOf, tcpMultiaddr, withPeerId } from './dialable-addresses.ts';
import { encodeFrame } from './frame-codec.ts';
import type { PeerIdentity } from './identity.ts';
import { receiveMessage } from './receive-message.ts';

/** One stream carries one question and its answer. */
const PROTOCOL = '/cachemesh/control/1';
const ANSWER_TIMEOUT_MS = 5000;
const STOP_TIMEOUT_MS = 2000;
const STREAMS_PER_CONNECTION = 64;
/** A group of 4,000 nodes, each with one connection in either direction. */
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
  #handler: ControlHandler | undefined;
  #node: Libp2p | undefined;
  #port = 0;

  constructor(options: {
    identity: PeerIdentity;
    host: string;
    port: number;
    clock: Clock;
    logger: Logger;
  }) {
    this.nodeId = options.identity.nodeId;
    this.#identity = options.identity;
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
      streamMuxers: [yamux()],
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
    if (nodeId !== undefined) {
      const open = node.getConnections(peerIdFromString(nodeId));
      const usable = open.find((connection) => connection.status === 'open');
      if (usable !== undefined) return usable;
    }
    if (addresses.length === 0) {
      throw new PeerError('unreachable', `no address of ${nodeId} is known`, { retryable: true });
    }
    const dialled = addresses.map((address) =>
      multiaddr(nodeId === undefined ? address : withPeerId(address, nodeId)),
    );
    try {
      return await node.dial(dialled, { signal });
    } catch (error) {
      throw signal.aborted ? abortReason(signal) : asPeerError(error);
    }
  }

  async #serve(stream: Stream, connection: Connection): Promise<void> {
    const from = toNodeId(connection.remotePeer.toString());
    const options = { what: `a control message of ${from}`, timeoutMs: ANSWER_TIMEOUT_MS };
    try {
      await withDeadline(this.#clock, options, async (signal) => {
        const message = await receiveMessage(stream, signal);
        const reply = await this.#handler?.(from, message);
        if (reply === undefined) throw new PeerError('failed', 'nobody answers here');
        stream.send(encodeFrame(reply));
        await stream.close({ signal });
      });
    } catch (error) {
      this.#logger.debug({ peer: from, err: error }, 'a control stream broke');
      stream.abort(error instanceof Error ? error : new Error('broken'));
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
