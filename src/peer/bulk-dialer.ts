import type { NodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import { DeadlineError, withDeadline } from '../runtime/deadline.ts';
import type { AddressBook } from './address-book.ts';
import { PeerError } from './block-exchange.ts';
import { BulkConnection } from './bulk-connection.ts';
import { isIntegerIn } from './frame-codec.ts';
import type { GroupControl } from './group-control.ts';
import type { BulkTls } from './bulk-tls.ts';
import { bulkProof, bulkTlsOf, type MemberCredentials } from './member-credentials.ts';
import type { Endpoint, Network } from './network.ts';
import { dialMember } from './proved-socket.ts';

/** What may only mean that somebody else listens where the peer was. */
const LOST_CODES: ReadonlySet<string> = new Set([
  'unreachable',
  'forbidden',
  'encryption',
  'protocol',
]);
/** Hosts of one peer that are tried at most. */
const HOSTS_MAX = 4;

/** Where a peer's bulk port is. */
interface BulkPlace {
  readonly port: number;
  /** Likeliest first. */
  readonly hosts: readonly string[];
}

/** Opens bulk connections: asks where a peer takes them, and proves the group's key there. */
export class BulkDialer {
  readonly #options: {
    readonly control: GroupControl;
    readonly book: AddressBook;
    readonly network: Network;
    readonly clock: Clock;
    readonly random: Random;
    readonly credentials: MemberCredentials;
    readonly timeoutMs: (node: NodeId) => number;
  };
  readonly #tls: BulkTls | undefined;
  /** Of peers that took a connection there. */
  readonly #places = new Map<NodeId, BulkPlace>();

  /** @param options - `timeoutMs`: for question, connection and proof together */
  constructor(options: {
    control: GroupControl;
    book: AddressBook;
    network: Network;
    clock: Clock;
    random: Random;
    credentials: MemberCredentials;
    timeoutMs: (node: NodeId) => number;
  }) {
    this.#options = options;
    this.#tls = bulkTlsOf(options.credentials);
  }

  /**
   * @throws PeerError (`timeout`, `unreachable`, `forbidden`, `encryption`, what the peer says); the
   *   signal's reason
   */
  async dial(node: NodeId, signal: AbortSignal): Promise<BulkConnection> {
    const timeoutMs = this.#options.timeoutMs(node);
    const options = { what: `connecting to ${node}`, timeoutMs, signal };
    try {
      return await withDeadline(this.#options.clock, options, (inner) =>
        this.#open(node, timeoutMs, inner),
      );
    } catch (error) {
      this.forget(node);
      if (!(error instanceof DeadlineError)) throw error;
      throw new PeerError('timeout', error.message, { retryable: true, cause: error });
    }
  }

  /** Asks again where the node takes connections. */
  forget(node: NodeId): void {
    this.#places.delete(node);
  }

  async #open(node: NodeId, timeoutMs: number, signal: AbortSignal): Promise<BulkConnection> {
    const known = this.#places.get(node);
    if (known !== undefined) {
      try {
        return await this.#connectAny(node, known, signal);
      } catch (error) {
        // It may have come back on another port, where somebody else listens now.
        if (signal.aborted || !isLost(error)) throw error;
      }
    }
    const place = await this.#ask(node, timeoutMs, signal);
    const connection = await this.#connectAny(node, place, signal);
    this.#places.set(node, place);
    return connection;
  }

  async #ask(node: NodeId, timeoutMs: number, signal: AbortSignal): Promise<BulkPlace> {
    const { control, book } = this.#options;
    const target = { nodeId: node, addresses: book.get(node) };
    const answer = await control.ask(target, { type: 'bulk' }, { timeoutMs, signal });
    const { port, hosts, encrypted } = answer.reply;
    // The control channel is authenticated, so nobody else can say so.
    if ((encrypted === true) !== (this.#tls !== undefined)) throw this.#differs(node);
    if (!isIntegerIn(port, 1, 65_535)) {
      throw new PeerError('protocol', `${node} says nothing of where it takes bulk connections`);
    }
    // First where the peer is known to answer; its own list helps when that was a proxy.
    const named: readonly unknown[] = [answer.host, ...(Array.isArray(hosts) ? hosts : [])];
    const texts = named.filter((host) => typeof host === 'string');
    return { port, hosts: [...new Set(texts)].slice(0, HOSTS_MAX) };
  }

  #differs(node: NodeId): PeerError {
    const [who, whoNot] = this.#tls === undefined ? [node, 'this node'] : ['this node', node];
    const advice = 'start all members of a group with --encrypt, or none';
    const text = `${who} encrypts its connections and ${whoNot} does not: ${advice}`;
    return new PeerError('encryption', text);
  }

  async #connectAny(node: NodeId, place: BulkPlace, signal: AbortSignal): Promise<BulkConnection> {
    const { port, hosts } = place;
    let failure: unknown;
    for (const host of hosts) {
      try {
        return await this.#connect(node, { host, port }, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        failure = error;
      }
    }
    if (failure instanceof PeerError) throw failure;
    const text = `${node} cannot be reached on its bulk port ${port}`;
    throw new PeerError('unreachable', text, { retryable: true, cause: failure });
  }

  async #connect(node: NodeId, at: Endpoint, signal: AbortSignal): Promise<BulkConnection> {
    const { network, clock, random, credentials } = this.#options;
    const proof = bulkProof(credentials, random);
    const tls = this.#tls;
    const proved = await dialMember({ network, clock, at, to: node, proof, tls }, signal);
    const connection = new BulkConnection(proved, clock);
    // Nobody waits any more: the deadline passed while the socket was being opened.
    if (signal.aborted) connection.close();
    return connection;
  }
}

function isLost(error: unknown): boolean {
  return error instanceof PeerError && LOST_CODES.has(error.code);
}
