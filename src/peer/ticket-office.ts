import { timingSafeEqual } from 'node:crypto';
import type { NodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import { PeerError } from './block-exchange.ts';

/** Length of a ticket. */
export const TICKET_BYTES = 32;
/** The first bytes find the ticket, the other 192 bits prove that it was given. */
const NUMBER_BYTES = 8;
/** How long a ticket may be used; its owner connects at once. */
const LIFETIME_MS = 5000;
const PER_PEER_MAX = 64;
const TOTAL_MAX = 8192;

interface Ticket {
  readonly peer: NodeId;
  readonly secret: Uint8Array;
  readonly expiresAtMs: number;
}

/** Gives out tickets by which an authenticated peer opens one bulk connection each. */
export class TicketOffice {
  readonly #clock: Clock;
  readonly #random: Random;
  /** By number, oldest first, because all live equally long. */
  readonly #tickets = new Map<string, Ticket>();
  readonly #perPeer = new Map<NodeId, number>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * A new ticket for `peer`, usable once within 5 s.
   *
   * @throws PeerError (`busy`) when too many are out
   */
  issue(peer: NodeId): Uint8Array {
    this.#dropExpired();
    const out = this.#perPeer.get(peer) ?? 0;
    if (out >= PER_PEER_MAX || this.#tickets.size >= TOTAL_MAX) {
      throw new PeerError('busy', 'too many bulk tickets are out', { retryable: true });
    }
    const token = this.#random.bytes(TICKET_BYTES);
    this.#tickets.set(numberOf(token), {
      peer,
      secret: token.slice(NUMBER_BYTES),
      expiresAtMs: this.#clock.nowMs() + LIFETIME_MS,
    });
    this.#perPeer.set(peer, out + 1);
    return token;
  }

  /** @returns whose ticket it is, once; undefined for anything else */
  redeem(token: Uint8Array): NodeId | undefined {
    this.#dropExpired();
    const number = numberOf(token);
    const ticket = this.#tickets.get(number);
    if (ticket === undefined || token.byteLength !== TICKET_BYTES) return undefined;
    // Compared in constant time, so that the answer's delay tells nothing about the secret.
    if (!timingSafeEqual(ticket.secret, token.subarray(NUMBER_BYTES))) return undefined;
    this.#remove(number, ticket.peer);
    return ticket.peer;
  }

  #dropExpired(): void {
    const nowMs = this.#clock.nowMs();
    for (const [number, ticket] of this.#tickets) {
      if (ticket.expiresAtMs > nowMs) return;
      this.#remove(number, ticket.peer);
    }
  }

  #remove(number: string, peer: NodeId): void {
    this.#tickets.delete(number);
    const left = (this.#perPeer.get(peer) ?? 1) - 1;
    if (left === 0) this.#perPeer.delete(peer);
    else this.#perPeer.set(peer, left);
  }
}

function numberOf(token: Uint8Array): string {
  return Buffer.from(token.subarray(0, NUMBER_BYTES)).toString('hex');
}
