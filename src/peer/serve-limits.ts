import type { NodeId } from '../block/node-id.ts';

/** How much others may ask of this node at a time. */
export interface ServeLimitOptions {
  /** Requests of one peer. */
  readonly requestsPerPeer: number;
  /** Bulk connections of one peer. */
  readonly connectionsPerPeer: number;
  /** Bulk connections that have not yet proved who they are. */
  readonly strangers: number;
  /** Sum of the lengths of all ranges that are being served. */
  readonly bytes: number;
}

/** Room for a few clients that read ahead, and for 64 blocks of the default size. */
export const DEFAULT_SERVE_LIMITS: ServeLimitOptions = {
  requestsPerPeer: 32,
  connectionsPerPeer: 32,
  strangers: 128,
  bytes: 256 * 1024 * 1024,
};

/** Counts what is being served, so that a request beyond the limits is refused at once. */
export class ServeLimits {
  readonly #options: ServeLimitOptions;
  readonly #requests = new Map<NodeId, number>();
  readonly #connections = new Map<NodeId, number>();
  #bytes = 0;

  constructor(options: ServeLimitOptions) {
    this.#options = options;
  }

  /** Bytes being served. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @returns what gives the place back (call once), or undefined when a limit is reached */
  enterRequest(peer: NodeId, bytes: number): (() => void) | undefined {
    if (this.#bytes > 0 && this.#bytes + bytes > this.#options.bytes) return undefined;
    const leave = enter(this.#requests, peer, this.#options.requestsPerPeer);
    if (leave === undefined) return undefined;
    this.#bytes += bytes;
    return () => {
      this.#bytes -= bytes;
      leave();
    };
  }

  /** @returns what gives the place back (call once), or undefined when the limit is reached */
  enterConnection(peer: NodeId): (() => void) | undefined {
    return enter(this.#connections, peer, this.#options.connectionsPerPeer);
  }
}

function enter(counts: Map<NodeId, number>, peer: NodeId, limit: number): (() => void) | undefined {
  const count = counts.get(peer) ?? 0;
  if (count >= limit) return undefined;
  counts.set(peer, count + 1);
  return () => {
    const left = (counts.get(peer) ?? 1) - 1;
    if (left === 0) counts.delete(peer);
    else counts.set(peer, left);
  };
}
