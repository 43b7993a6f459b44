import type { Connection } from '@libp2p/interface';
import { type NodeId, toNodeId } from '../block/node-id.ts';
import { PeerError } from './block-exchange.ts';
import { hostOf } from './dialable-addresses.ts';
import { HEADER_BYTES_MAX } from './frame-codec.ts';
import type { Refusals } from './refusals.ts';
import { type Leave, type LimitName, ServeLimits, type ServeLimitOptions } from './serve-limits.ts';
import { StrangerRoom } from './stranger-room.ts';

/**
 * One connection in either direction is the rule; more exist while two nodes dial each other or come
 * back. A message has at most 64 KiB, so 48 requests are the 3 MiB of a peer.
 */
export const DEFAULT_CONTROL_LIMITS: ServeLimitOptions = {
  requestsPerPeer: 48,
  connectionsPerPeer: 8,
  strangers: 128,
  bytesPerPeer: 48 * HEADER_BYTES_MAX,
  bytes: 1024 * HEADER_BYTES_MAX,
};

/** Bounds what others may take of the control plane: connections, requests, and memory for them. */
export class ControlGate {
  readonly #limits: ServeLimits;
  readonly #strangers: StrangerRoom;
  readonly #refusals: Refusals;
  /** What connections have to give back. */
  readonly #leaves = new Map<string, { peer: Leave; stranger: Leave }>();

  constructor(refusals: Refusals, limits: ServeLimitOptions = DEFAULT_CONTROL_LIMITS) {
    this.#refusals = refusals;
    this.#limits = new ServeLimits(limits);
    this.#strangers = new StrangerRoom(limits.strangers);
  }

  /** A connection was opened, by whomever. It is ended when it is one too many. */
  opened(connection: Connection): void {
    if (connection.direction !== 'inbound') return;
    const peer = toNodeId(connection.remotePeer.toString());
    const leave = this.#limits.enterConnection(peer);
    if (typeof leave === 'string') {
      this.#refusals.limit(leave, { peer });
      connection.abort(new PeerError('busy', 'too many control connections'));
      return;
    }
    const address = hostOf(connection.remoteAddr.toString()) ?? '';
    const stranger = this.#strangers.enter(address, () => {
      this.#refusals.limit('strangers', { address });
      connection.abort(new PeerError('busy', 'it made room for others'));
    });
    this.#leaves.set(connection.id, { peer: leave, stranger });
  }

  /** The other side has proved that it is a member. */
  proved(connection: Connection): void {
    this.#leaves.get(connection.id)?.stranger();
  }

  closed(connection: Connection): void {
    const leaves = this.#leaves.get(connection.id);
    this.#leaves.delete(connection.id);
    leaves?.stranger();
    leaves?.peer();
  }

  /** A request begins. @returns what ends it, or the limit that is reached */
  enterRequest(peer: NodeId): Leave | LimitName {
    const leave = this.#limits.enterRequest(peer, HEADER_BYTES_MAX);
    if (typeof leave === 'string') this.#refusals.limit(leave, { peer });
    return leave;
  }
}
