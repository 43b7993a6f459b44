import { type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import { type PeerClient, PeerError } from '../peer/block-exchange.ts';
import type { Clock } from '../runtime/clock.ts';
import { DeadlineError, withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import type { LoadMetrics } from './load-metrics.ts';
import { PrefetchQueue } from './prefetch-queue.ts';

const WORKERS = 4;
/** Blocks that wait; beyond that the other holders get them when somebody asks. */
const QUEUE_MAX = 1_024;
const NUDGE_TIMEOUT_MS = 10_000;

/** What a {@link Replicator} works with. */
export interface ReplicatorParts {
  readonly client: PeerClient;
  /** The others that keep a block when this node is the first that does; else none. */
  followers(key: BlockKey): readonly NodeId[];
  readonly clock: Clock;
  readonly metrics: LoadMetrics;
  readonly logger: Logger;
}

/**
 * Sees to it that all nodes that are to keep a block have it (`--replicas`).
 *
 * The first holder asks the others for one byte: a holder that is asked by a fellow brings the whole
 * block, and it gets it from the first. So the origin is asked once, and what each node takes in is
 * bounded by itself.
 */
export class Replicator {
  readonly #parts: ReplicatorParts;
  readonly #queue: PrefetchQueue;
  readonly #stopping = new AbortController();

  constructor(parts: ReplicatorParts) {
    this.#parts = parts;
    const onDrop = () => parts.metrics.event('replica-dropped');
    this.#queue = new PrefetchQueue({ workers: WORKERS, queueMax: QUEUE_MAX, onDrop });
  }

  /** A block has come to this node. */
  landed(key: BlockKey): void {
    if (this.#parts.followers(key).length === 0) return;
    this.#queue.add(blockIdOf(key), () => this.#spread(key));
  }

  /** Ends what is under way. */
  stop(): void {
    this.#queue.clear();
    this.#stopping.abort(new Error('the daemon is stopping'));
  }

  async #spread(key: BlockKey): Promise<void> {
    for (const node of this.#parts.followers(key)) await this.#nudge(node, key);
  }

  async #nudge(node: NodeId, key: BlockKey): Promise<void> {
    const { client, clock, metrics, logger } = this.#parts;
    const { signal } = this.#stopping;
    const wait = { what: `a replica on ${node}`, timeoutMs: NUDGE_TIMEOUT_MS, signal };
    const range = { offset: 0, length: 1 };
    try {
      await withDeadline(clock, wait, (timed) =>
        client.fill(node, key, range, new Uint8Array(1), { signal: timed, mode: 'any' }),
      );
      metrics.event('replicated');
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof PeerError) && !(error instanceof DeadlineError)) throw error;
      metrics.event('replica-dropped');
      logger.debug({ node, block: blockIdOf(key), err: error }, 'a holder did not take a block');
    }
  }
}
