import assert from 'node:assert/strict';
import type { NodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import { AddressBook } from './address-book.ts';
import { BlockClient, DEFAULT_FETCH_TIMEOUTS, type FetchTimeouts } from './block-client.ts';
import { type BlockHandler, type Member, PeerError, type PeerHost } from './block-exchange.ts';
import { BulkDialer } from './bulk-dialer.ts';
import type { BulkListener, ListenerMaker } from './bulk-listener.ts';
import { BulkServer } from './bulk-server.ts';
import { DEFAULT_SERVE_TIMEOUTS, type ServeTimeouts } from './bulk-session.ts';
import { DEFAULT_POOL, type PoolOptions } from './connection-pool.ts';
import { DEFAULT_CONTROL_LIMITS } from './control-gate.ts';
import type { ControlTransport } from './control-plane.ts';
import { dialableAddresses, hostOf, withoutPeerId } from './dialable-addresses.ts';
import type { DiscoverySource } from './discovery-source.ts';
import { GroupControl, type GroupName } from './group-control.ts';
import type { GroupKey } from './group-key.ts';
import type { PeerIdentity } from './identity.ts';
import { Libp2pControl } from './libp2p-control.ts';
import { ControlGossipLink } from './gossip/gossip-link.ts';
import { TOLD_ADDRESSES_MAX } from './gossip/gossip-message.ts';
import { DEFAULT_DISCOVERY_INTERVAL_MS, GroupMembership } from './membership.ts';
import { controlProof, type MemberCredentials } from './member-credentials.ts';
import type { Network } from './network.ts';
import { HealthBook, type PeerHealth } from './peer-health.ts';
import { type PeerMetrics, peerMetrics } from './peer-metrics.ts';
import { SPOKEN_VERSIONS, type VersionRange } from './protocol-version.ts';
import { Refusals } from './refusals.ts';
import { ReportExchange } from './report-exchange.ts';
import { DEFAULT_SERVE_LIMITS, ServeLimits, type ServeLimitOptions } from './serve-limits.ts';
import { type WarmClient, WarmExchange, type WarmHandler } from './warm-exchange.ts';

/** Settings of a peer host; what is left out has a default. */
export interface PeerHostOptions {
  readonly name: GroupName;
  /** What only members know. */
  readonly key: GroupKey;
  /** Default {@link SPOKEN_VERSIONS}. */
  readonly versions?: VersionRange;
  /** Encrypt bulk connections and refuse others; the control channel always is encrypted. Default no. */
  readonly encrypted?: boolean | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Where to listen; default all IPv4 interfaces. */
  readonly host?: string;
  /** Port for bulk connections; default 0, any. */
  readonly bulkPort?: number;
  /** Addresses to give to others instead of those of the interfaces. */
  readonly announce?: readonly string[];
  /** Our share of the blocks; default 100, 0 when we only read. */
  readonly weight?: number;
  /** Where this node stands, e.g. a rack. */
  readonly zone?: string | undefined;
  /** Of the program, told to others. */
  readonly version?: string | undefined;
  /** On bulk connections. */
  readonly limits?: Partial<ServeLimitOptions>;
  readonly serveTimeouts?: Partial<ServeTimeouts>;
  readonly fetchTimeouts?: Partial<FetchTimeouts>;
  readonly pool?: Partial<PoolOptions>;
  /** Who takes bulk connections; default: this thread. */
  readonly listener?: ListenerMaker | undefined;
}

/** How a membership finds others. */
export interface JoinOptions {
  /** Default none: only `peers` and those who say hello. */
  readonly discovery?: DiscoverySource | undefined;
  /** Addresses of nodes to join: `host:port` or multiaddrs. */
  readonly peers?: readonly string[];
  /** Default 12 s. */
  readonly intervalMs?: number;
}

const DEFAULT_WEIGHT = 100;

/** Our presence among the peers: a control channel, a bulk port beside it, and their client. */
export class MeshPeerHost implements PeerHost {
  readonly nodeId: NodeId;
  /** Asks others how they are doing, and answers them. */
  readonly reports: ReportExchange;
  readonly #transport: ControlTransport;
  readonly #options: PeerHostOptions;
  readonly #metrics: PeerMetrics;
  readonly #control: GroupControl;
  readonly #book = new AddressBook();
  readonly #health = new HealthBook();
  readonly #credentials: MemberCredentials;
  readonly #client: BlockClient;
  readonly #dialer: BulkDialer;
  readonly #warm: WarmExchange;
  #weight: number;
  #addresses: readonly string[] = [];
  #handler: BlockHandler | undefined;
  #server: BulkListener | undefined;
  #membership: GroupMembership | undefined;

  /** @param transport - what carries control messages; {@link libp2pPeerHost} chooses libp2p */
  constructor(transport: ControlTransport, options: PeerHostOptions) {
    const { clock, random, network, logger } = options;
    this.nodeId = transport.nodeId;
    this.#transport = transport;
    this.#options = options;
    this.#weight = options.weight ?? DEFAULT_WEIGHT;
    this.#metrics = peerMetrics(options.metrics);
    const { name, key, versions = SPOKEN_VERSIONS, encrypted } = options;
    this.#credentials = { self: this.nodeId, name, key, versions, encrypted };
    this.#control = new GroupControl(transport, { name, clock, metrics: this.#metrics, logger });
    this.#warm = new WarmExchange(this.#control, this.#book);
    this.reports = new ReportExchange(this.#control, this.#book);
    this.#control.on('bulk', () => this.#bulkPlace());
    const timeouts = { ...DEFAULT_FETCH_TIMEOUTS, ...options.fetchTimeouts };
    this.#dialer = new BulkDialer({
      control: this.#control,
      book: this.#book,
      network,
      clock,
      random,
      credentials: this.#credentials,
      timeoutMs: (node) => timeouts.connectMs ?? this.#health.deadlineMs(node, 'connect'),
    });
    this.#client = new BlockClient({
      clock,
      metrics: this.#metrics,
      health: this.#health,
      timeouts,
      pool: { ...DEFAULT_POOL, ...options.pool },
      dial: (node, signal) => this.#dialer.dial(node, signal),
    });
    transport.watch((node) => this.#membership?.connectionLost(node));
  }

  get addresses(): readonly string[] {
    return this.#addresses;
  }

  get client(): BlockClient {
    return this.#client;
  }

  get health(): PeerHealth {
    return this.#health;
  }

  /** Asks others to fill and clear their caches. */
  get warm(): WarmClient {
    return this.#warm;
  }

  /** Answers what others ask of our cache, from now on. */
  handleWarm(handler: WarmHandler): void {
    this.#warm.handle(handler);
  }

  /** Port for bulk connections, once started. */
  get bulkPort(): number {
    return this.#server?.port ?? 0;
  }

  handle(handler: BlockHandler): void {
    this.#handler = handler;
  }

  /** Tells by which addresses a node can be dialled; a membership does so by itself. */
  learn(node: NodeId, addresses: readonly string[]): void {
    this.#book.set(node, addresses);
  }

  /** The membership of this host; at most one. Start it after the host, stop it before. */
  membership(options: JoinOptions = {}): GroupMembership {
    assert(this.#membership === undefined, 'a host has one membership');
    const { clock, random, logger } = this.#options;
    const startedAtMs = Math.round(clock.wallMs());
    this.#membership = new GroupMembership({
      self: () => this.#member(startedAtMs),
      link: new ControlGossipLink(this.#control),
      book: this.#book,
      health: this.#health,
      discovery: options.discovery,
      peers: options.peers ?? [],
      intervalMs: options.intervalMs ?? DEFAULT_DISCOVERY_INTERVAL_MS,
      clock,
      random,
      metrics: this.#metrics,
      logger,
      onGone: (node) => {
        this.#client.forget(node);
        this.#dialer.forget(node);
        this.#health.forget(node);
      },
    });
    const membership = this.#membership;
    this.#health.follow((node) => membership.stateOf(node));
    return membership;
  }

  /** Our share of the blocks at present. */
  get weight(): number {
    return this.#weight;
  }

  /** Changes our share of the blocks and tells everyone, e.g. 0 to drain this node. */
  setWeight(weight: number): void {
    this.#weight = weight;
    this.#membership?.announce();
  }

  /** @throws PeerError (`failed`) when it cannot listen; AddressError for a bad `announce` */
  async start(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { network, bulkPort = 0 } = this.#options;
    const host = this.#options.host ?? '0.0.0.0';
    const server = this.#makeServer();
    try {
      this.#server = server;
      await listening(
        `bulk connections on ${host}:${bulkPort}`,
        server.start({ host, port: bulkPort }),
      );
      await listening(`peers on ${host}`, this.#transport.start());
      this.#addresses = dialableAddresses({
        nodeId: this.nodeId,
        host,
        port: this.#transport.port,
        announce: this.#options.announce ?? [],
        interfaces: network.interfaces(),
      });
      signal?.throwIfAborted();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#membership?.stop();
    const server = this.#server;
    this.#server = undefined;
    this.#client.close();
    await server?.stop();
    await this.#transport.stop();
  }

  #makeServer(): BulkListener {
    const { clock, logger, network, random, listener } = this.#options;
    assert(this.#handler !== undefined, 'handle() comes before start()');
    const handler = this.#handler;
    const credentials = this.#credentials;
    const limits = { ...DEFAULT_SERVE_LIMITS, ...this.#options.limits };
    const timeouts = { ...DEFAULT_SERVE_TIMEOUTS, ...this.#options.serveTimeouts };
    if (listener !== undefined) return listener({ handler, credentials, limits, timeouts });
    const metrics = this.#metrics;
    const refusals = new Refusals('bulk', { metrics, clock, logger });
    const common = { handler, timeouts, clock, metrics, logger };
    const context = { ...common, refusals, limits: new ServeLimits(limits) };
    const strangersMax = limits.strangers;
    return new BulkServer({ network, credentials, random, context, strangersMax });
  }

  /** Ourselves, as others hear of us. */
  #member(startedAtMs: number): Member {
    const { zone, version } = this.#options;
    // Whose addresses they are stands beside them.
    const addresses = this.#addresses
      .slice(0, TOLD_ADDRESSES_MAX)
      .map((address) => withoutPeerId(address, this.nodeId));
    const { nodeId } = this;
    return { nodeId, addresses, weight: this.#weight, zone, version, startedAtMs };
  }

  #bulkPlace() {
    const hosts = new Set(this.#addresses.map(hostOf));
    const encrypted = this.#credentials.encrypted === true;
    return { port: this.bulkPort, hosts: [...hosts], encrypted };
  }
}

async function listening(what: string, started: Promise<void>): Promise<void> {
  try {
    await started;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PeerError('failed', `cannot listen for ${what}: ${reason}`, { cause });
  }
}

/** A peer host over libp2p. @param options - `port`: for libp2p; default 0, any */
export function libp2pPeerHost(
  identity: PeerIdentity,
  options: PeerHostOptions & {
    readonly port?: number;
    readonly controlLimits?: Partial<ServeLimitOptions>;
  },
): MeshPeerHost {
  const { host = '0.0.0.0', port = 0, clock, logger } = options;
  const { name, key, random, versions = SPOKEN_VERSIONS } = options;
  const credentials = { self: identity.nodeId, name, key, versions };
  const proof = () => controlProof(credentials, random);
  const metrics = peerMetrics(options.metrics);
  const refusals = new Refusals('control', { metrics, clock, logger });
  const limits = { ...DEFAULT_CONTROL_LIMITS, ...options.controlLimits };
  return new MeshPeerHost(
    new Libp2pControl({ identity, proof, refusals, limits, host, port, clock, logger }),
    options,
  );
}
