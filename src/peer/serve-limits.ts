import type { NodeId } from '../block/node-id.ts';

/** How much others may ask of this node at a time. */
export interface ServeLimitOptions {
  /** Requests of one peer. */
  readonly requestsPerPeer: number;
  /** Connections of one peer. */
  readonly connectionsPerPeer: number;
  /** Connections that have not yet proved who they are. */
  readonly strangers: number;
  /** Sum of the lengths of all ranges that are being served to one peer. */
  readonly bytesPerPeer: number;
  /** The same for all peers. */
  readonly bytes: number;
}

/** What a limit is on; `all-bytes`: the sum over all peers. */
export type LimitName = 'strangers' | 'connections' | 'requests' | 'bytes' | 'all-bytes';

/**
 * Room for a few clients that read ahead, and for 64 blocks of the default size; one peer can take
 * half of it, which is what the 8 connections of a client want with the largest blocks (16 MiB).
 */
export const DEFAULT_SERVE_LIMITS: ServeLimitOptions = {
  requestsPerPeer: 32,
  connectionsPerPeer: 32,
  strangers: 128,
  bytesPerPeer: 128 * 1024 * 1024,
  bytes: 256 * 1024 * 1024,
};

/** Gives a place back; to be called once. */
export type Leave = () => void;

/** Counts what is being served, so that a request beyond the limits is refused at once. */
export class ServeLimits {
  readonly #options: Omit<ServeLimitOptions, 'strangers'>;
  readonly #requests = new PeerSums();
  readonly #connections = new PeerSums();
  readonly #bytes = new PeerSums();

  constructor(options: Omit<ServeLimitOptions, 'strangers'>) {
    this.#options = options;
  }

  /** Bytes being served. */
  get bytes(): number {
    return this.#bytes.total;
  }

  /**
   * A single request may be larger than a limit on bytes: it is let in when nothing else is there.
   *
   * @returns what gives the place back, or the limit that is reached
   */
  enterRequest(peer: NodeId, bytes: number): Leave | LimitName {
    const { requestsPerPeer, bytesPerPeer, bytes: bytesMax } = this.#options;
    const ownBytes = this.#bytes.of(peer);
    if (this.#requests.of(peer) >= requestsPerPeer) return 'requests';
    if (ownBytes > 0 && ownBytes + bytes > bytesPerPeer) return 'bytes';
    if (this.bytes > 0 && this.bytes + bytes > bytesMax) return 'all-bytes';
    this.#requests.add(peer, 1);
    this.#bytes.add(peer, bytes);
    return () => {
      this.#requests.add(peer, -1);
      this.#bytes.add(peer, -bytes);
    };
  }

  /** @returns what gives the place back, or the limit that is reached */
  enterConnection(peer: NodeId): Leave | LimitName {
    if (this.#connections.of(peer) >= this.#options.connectionsPerPeer) return 'connections';
    this.#connections.add(peer, 1);
    return () => this.#connections.add(peer, -1);
  }
}

/** A sum for each peer; those with none are not kept. */
class PeerSums {
  readonly #sums = new Map<NodeId, number>();
  total = 0;

  of(peer: NodeId): number {
    return this.#sums.get(peer) ?? 0;
  }

  add(peer: NodeId, amount: number): void {
    const sum = this.of(peer) + amount;
    this.total += amount;
    if (sum === 0) this.#sums.delete(peer);
    else this.#sums.set(peer, sum);
  }
}
