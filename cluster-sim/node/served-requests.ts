import type { NodeId } from '../../src/block/node-id.ts';
import type { BlockHandler } from '../../src/peer/block-exchange.ts';

/** How many requests of each peer a node serves right now: counted beside the code's own limits. */
export class ServedRequests {
  readonly #byPeer = new Map<NodeId, number>();
  #mostOfOne = 0;

  /** The most that were ever served to one peer at once. */
  get mostOfOne(): number {
    return this.#mostOfOne;
  }

  /** @returns ends it */
  begin(peer: NodeId): () => void {
    const count = (this.#byPeer.get(peer) ?? 0) + 1;
    this.#byPeer.set(peer, count);
    this.#mostOfOne = Math.max(this.#mostOfOne, count);
    return () => this.#byPeer.set(peer, (this.#byPeer.get(peer) ?? 1) - 1);
  }
}

/** Passes everything on and counts it. */
export function countingHandler(handler: BlockHandler, served: ServedRequests): BlockHandler {
  return {
    async *serve(key, range, signal, asked) {
      const end = served.begin(asked.peer);
      try {
        yield* handler.serve(key, range, signal, asked);
      } finally {
        end();
      }
    },
    hold(key, range, asked) {
      const held = handler.hold?.(key, range, asked);
      if (held === undefined) return undefined;
      const end = served.begin(asked.peer);
      const release = () => {
        end();
        held.release();
      };
      return { ...held, release };
    },
    holds: (ids, signal) => handler.holds(ids, signal),
  };
}
