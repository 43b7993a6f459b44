import type { NodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';
import { DeadlineError, withDeadline } from '../runtime/deadline.ts';
import type { AddressBook } from './address-book.ts';
import { PeerError } from './block-exchange.ts';
import { BulkConnection } from './bulk-connection.ts';
import { isIntegerIn } from './frame-codec.ts';
import type { GroupControl } from './group-control.ts';
import type { Network } from './network.ts';
import { TICKET_BYTES } from './ticket-office.ts';

/** Hosts of one peer that are tried at most. */
const HOSTS_MAX = 4;

/** Opens bulk connections: asks for a ticket over the control channel and connects with it. */
export class BulkDialer {
  readonly #control: GroupControl;
  readonly #book: AddressBook;
  readonly #network: Network;
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  /** @param timeoutMs - for ticket and connection together */
  constructor(options: {
    control: GroupControl;
    book: AddressBook;
    network: Network;
    clock: Clock;
    timeoutMs: number;
  }) {
    this.#control = options.control;
    this.#book = options.book;
    this.#network = options.network;
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
  }

  /** @throws PeerError (`timeout`, `unreachable`, what the peer says); the signal's reason */
  async dial(node: NodeId, signal: AbortSignal): Promise<BulkConnection> {
    const options = { what: `connecting to ${node}`, timeoutMs: this.#timeoutMs, signal };
    try {
      return await withDeadline(this.#clock, options, (inner) => this.#open(node, inner));
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      throw new PeerError('timeout', error.message, { retryable: true, cause: error });
    }
  }

  async #open(node: NodeId, signal: AbortSignal): Promise<BulkConnection> {
    const target = { nodeId: node, addresses: this.#book.get(node) };
    const message = { type: 'ticket' };
    const answer = await this.#control.ask(target, message, { timeoutMs: this.#timeoutMs, signal });
    const { port, ticket, hosts } = answer.reply;
    if (!isIntegerIn(port, 1, 65_535)) throw malformed(node);
    if (!(ticket instanceof Uint8Array) || ticket.byteLength !== TICKET_BYTES)
      throw malformed(node);
    // First where the peer is known to answer; its own list helps when that was a proxy.
    const candidates = new Set([answer.host, ...(Array.isArray(hosts) ? hosts : [])]);
    let failure: unknown;
    for (const host of [...candidates].slice(0, HOSTS_MAX)) {
      if (typeof host !== 'string') continue;
      try {
        return await this.#connect({ host, port }, ticket, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        failure = error;
      }
    }
    const text = `${node} cannot be reached on its bulk port ${port}`;
    throw new PeerError('unreachable', text, { retryable: true, cause: failure });
  }

  async #connect(
    to: { host: string; port: number },
    ticket: Uint8Array,
    signal: AbortSignal,
  ): Promise<BulkConnection> {
    const options = { network: this.#network, clock: this.#clock, to, ticket };
    const connection = await BulkConnection.open(options, signal);
    // Nobody waits any more: the deadline passed while the socket was being opened.
    if (signal.aborted) connection.close();
    return connection;
  }
}

function malformed(node: NodeId): PeerError {
  return new PeerError('protocol', `${node} answered a ticket request with wrong fields`);
}
