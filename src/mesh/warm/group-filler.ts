import { type BlockId, type BlockKey, blockIdOf } from '../../block/block-key.ts';
import type { NodeId } from '../../block/node-id.ts';
import type { Gauge, Metrics } from '../../runtime/metrics.ts';
import type { Replicator } from '../replicator.ts';
import type { KeptAs, WarmRun } from './warm-run.ts';

/** Blocks that owners fetch from this node at once, each of them. */
const PARALLEL = 8;
/** Blocks that are on their way to their owners, or wait for that; about 200 bytes each. */
const BLOCKS_MAX = 4_096;

/** What a {@link GroupFiller} works with. */
export interface GroupFillerParts {
  readonly ring: {
    readonly self: NodeId;
    owners(id: BlockId, count: number): readonly NodeId[];
  };
  /** Begins to hand blocks over to the first of the nodes that are to keep them. */
  readonly handOver: (options: {
    parallel: number;
    signal: AbortSignal;
    holder: number;
  }) => Pick<WarmRun, 'add'>;
  /** Spreads what this node is the first to keep. */
  readonly replicator: Pick<Replicator, 'landed'> | undefined;
  /** Whether this node could give the block to its owner now without asking the origin. */
  readonly isHere: (id: BlockId) => boolean;
  /** Bytes that may wait for their owners: those that are not taken in time leave this node's memory. */
  readonly bytesMax: number;
  readonly metrics: Metrics;
}

/**
 * Has the owners of new blocks fetch them from the node that writes them, so that the first reader on
 * another node finds them in the group (`--fill-group-cache`). Nobody waits for it, and nothing fails
 * with it: when owners are slow, blocks are left out.
 */
export class GroupFiller {
  readonly #parts: GroupFillerParts;
  readonly #stopping = new AbortController();
  readonly #run: Pick<WarmRun, 'add'>;
  readonly #waiting: Gauge;
  #blocks = 0;
  #bytes = 0;

  constructor(parts: GroupFillerParts) {
    this.#parts = parts;
    const help = 'New blocks on their way to their owners';
    this.#waiting = parts.metrics.gauge({ name: 'group_fill_waiting_blocks', help });
    const { signal } = this.#stopping;
    this.#run = parts.handOver({ parallel: PARALLEL, signal, holder: 0 });
  }

  /** A new block is at hand, and safe. */
  fill(key: BlockKey): void {
    const { ring, replicator, isHere, bytesMax } = this.#parts;
    const id = blockIdOf(key);
    const [owner] = ring.owners(id, 1);
    if (owner === undefined || this.#stopping.signal.aborted) return;
    if (owner === ring.self) {
      replicator?.landed(key);
      return;
    }
    const isTooMuch = this.#blocks >= BLOCKS_MAX || this.#bytes + key.sizeBytes > bytesMax;
    if (isTooMuch || !isHere(id)) {
      this.#count('dropped', key.sizeBytes);
      return;
    }
    this.#track(1, key.sizeBytes);
    this.#run.add(key, (kept) => this.#settle(key, kept)).catch(() => this.#settle(key, 'failed'));
  }

  /** Ends what is under way. */
  stop(): void {
    this.#stopping.abort(new Error('the daemon is stopping'));
  }

  #settle({ sizeBytes }: BlockKey, kept: KeptAs): void {
    this.#track(-1, sizeBytes);
    this.#count(kept, sizeBytes);
  }

  #track(sign: 1 | -1, sizeBytes: number): void {
    this.#blocks += sign;
    this.#bytes += sign * sizeBytes;
    this.#waiting.set(this.#blocks);
  }

  /** `fetched`: by its owner; `held`: it had it; `failed`: it did not get it; `dropped`: not offered. */
  #count(outcome: KeptAs | 'dropped', sizeBytes: number): void {
    const labels = { outcome };
    const { metrics } = this.#parts;
    metrics
      .counter({ name: 'group_fill_blocks', help: 'New blocks offered to their owners', labels })
      .add();
    metrics
      .counter({ name: 'group_fill_bytes', help: 'Bytes of new blocks for their owners', labels })
      .add(sizeBytes);
  }
}
