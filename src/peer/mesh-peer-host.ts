import assert from 'node:assert/strict';
import type { NodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import { AddressBook } from './address-book.ts';
import { BlockClient, DEFAULT_FETCH_TIMEOUTS, type FetchTimeouts } from './block-client.ts';
import { type BlockHandler, PeerError, type PeerHost } from './block-exchange.ts';
import { BulkDialer } from './bulk-dialer.ts';
import { BulkServer } from './bulk-server.ts';
import { DEFAULT_SERVE_TIMEOUTS, type ServeTimeouts } from './bulk-session.ts';
import { DEFAULT_POOL, type PoolOptions } from './connection-pool.ts';
import type { ControlTransport } from './control-plane.ts';
import { dialableAddresses, hostOf } from './dialable-addresses.ts';
import type { DiscoverySource } from './discovery-source.ts';
import { GroupControl, type GroupName } from './group-control.ts';
import type { PeerIdentity } from './identity.ts';
import { Libp2pControl } from './libp2p-control.ts';
import { DEFAULT_DISCOVERY_INTERVAL_MS, GroupMembership } from './membership.ts';
import type { Network } from './network.ts';
import { type PeerMetrics, peerMetrics } from './peer-metrics.ts';
import { DEFAULT_SERVE_LIMITS, ServeLimits, type ServeLimitOptions } from './serve-limits.ts';
import { TicketOffice } from './ticket-office.ts';

/** Settings of a peer host; what is left out has a default. */
export interface PeerHostOptions {
  readonly name: GroupName;
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
  readonly limits?: Partial<ServeLimitOptions>;
  readonly serveTimeouts?: Partial<ServeTimeouts>;
  readonly fetchTimeouts?: Partial<FetchTimeouts>;
  readonly pool?: Partial<PoolOptions>;
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
  readonly #transport: ControlTransport;
  readonly #options: PeerHostOptions;
  readonly #metrics: PeerMetrics;
  readonly #control: GroupControl;
  readonly #book = new AddressBook();
  readonly #tickets: TicketOffice;
  readonly #client: BlockClient;
  #weight: number;
  #addresses: readonly string[] = [];
  #handler: BlockHandler | undefined;
  #server: BulkServer | undefined;
  #membership: GroupMembership | undefined;

  /** @param transport - what carries control messages; {@link libp2pPeerHost} chooses libp2p */
  constructor(transport: ControlTransport, options: PeerHostOptions) {
    const { clock, random, network, logger } = options;
    this.nodeId = transport.nodeId;
    this.#transport = transport;
    this.#options = options;
    this.#weight = options.weight ?? DEFAULT_WEIGHT;
    this.#metrics = peerMetrics(options.metrics);
    this.#tickets = new TicketOffice(clock, random);
    const { name } = options;
    this.#control = new GroupControl(transport, { name, clock, metrics: this.#metrics, logger });
    this.#control.on('ticket', (from) => this.#giveTicket(from));
    const timeouts = { ...DEFAULT_FETCH_TIMEOUTS, ...options.fetchTimeouts };
    const dialer = new BulkDialer({
      control: this.#control,
      book: this.#book,
      network,
      clock,
      timeoutMs: timeouts.connectMs,
    });
    this.#client = new BlockClient({
      clock,
      metrics: this.#metrics,
      timeouts,
      pool: { ...DEFAULT_POOL, ...options.pool },
      dial: (node, signal) => dialer.dial(node, signal),
    });
    transport.watch((node) => this.#membership?.connectionLost(node));
  }

  get addresses(): readonly string[] {
    return this.#addresses;
  }

  get client(): BlockClient {
    return this.#client;
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
    this.#membership = new GroupMembership({
      self: () => ({ nodeId: this.nodeId, addresses: this.#addresses, weight: this.#weight }),
      control: this.#control,
      book: this.#book,
      discovery: options.discovery,
      peers: options.peers ?? [],
      intervalMs: options.intervalMs ?? DEFAULT_DISCOVERY_INTERVAL_MS,
      clock,
      random,
      metrics: this.#metrics,
      logger,
      onGone: (node) => this.#client.forget(node),
    });
    return this.#membership;
  }

  /** Changes our share of the blocks and tells everyone, e.g. 0 to drain this node. */
  async setWeight(weight: number): Promise<void> {
    this.#weight = weight;
    await this.#membership?.announce();
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

  #makeServer(): BulkServer {
    const { clock, logger, network } = this.#options;
    assert(this.#handler !== undefined, 'handle() comes before start()');
    const limits = { ...DEFAULT_SERVE_LIMITS, ...this.#options.limits };
    const context = {
      handler: this.#handler,
      limits: new ServeLimits(limits),
      timeouts: { ...DEFAULT_SERVE_TIMEOUTS, ...this.#options.serveTimeouts },
      clock,
      metrics: this.#metrics,
      logger,
    };
    const strangersMax = limits.strangers;
    return new BulkServer({ network, tickets: this.#tickets, context, strangersMax });
  }

  #giveTicket(from: NodeId) {
    const hosts = new Set(this.#addresses.map(hostOf));
    return { port: this.bulkPort, ticket: this.#tickets.issue(from), hosts: [...hosts] };
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
  options: PeerHostOptions & { readonly port?: number },
): MeshPeerHost {
  const { host = '0.0.0.0', port = 0, clock, logger } = options;
  return new MeshPeerHost(new Libp2pControl({ identity, host, port, clock, logger }), options);
}
