import { type BlockId, type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import { PeerError, type PeerClient } from '../peer/block-exchange.ts';
import type { Clock } from '../runtime/clock.ts';
import { DeadlineError, withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import { RecentMap } from '../runtime/recent-map.ts';
import type { LoadMetrics } from './load-metrics.ts';

/** Groups up to this size are asked as a whole; in larger ones nobody is. */
const MEMBERS_MAX = 32;
/** Blocks that are looked for at once; more are not looked for. */
const SEARCHES_MAX = 16;
const ASK_TIMEOUT_MS = 1_000;
/** What nobody had is not looked for again so soon: reads are tried again and again. */
const UNKNOWN_MS = 2_000;
const UNKNOWN_MAX = 4_096;

/** What {@link StrayHolders} work with. */
export interface StrayHoldersParts {
  readonly client: Pick<PeerClient, 'holds'>;
  /** The other members. */
  readonly others: () => readonly NodeId[];
  readonly clock: Clock;
  readonly metrics: LoadMetrics;
  readonly logger: Logger;
}

/**
 * Finds who has a block that is not in the object store, and not with its owners: most likely it was
 * just written, and waits on the disk of its writer to be uploaded (`--writeback`).
 */
export class StrayHolders {
  readonly #parts: StrayHoldersParts;
  readonly #unknownUntilMs = new RecentMap<BlockId, number>(UNKNOWN_MAX);
  #searches = 0;

  constructor(parts: StrayHoldersParts) {
    this.#parts = parts;
  }

  /** @returns undefined when nobody says so in time. @throws the signal's reason when aborted */
  async find(key: BlockKey, signal: AbortSignal): Promise<NodeId | undefined> {
    const { clock, metrics, others } = this.#parts;
    const id = blockIdOf(key);
    const nodes = others();
    const isKnown = clock.nowMs() < (this.#unknownUntilMs.get(id) ?? 0);
    const isTooMuch = nodes.length > MEMBERS_MAX || this.#searches >= SEARCHES_MAX;
    if (isKnown || isTooMuch || nodes.length === 0) return undefined;
    metrics.event('stray-search');
    this.#searches += 1;
    try {
      const found = await Promise.all(nodes.map((node) => this.#has(node, id, signal)));
      signal.throwIfAborted();
      const holder = nodes[found.indexOf(true)];
      if (holder === undefined) this.#unknownUntilMs.set(id, clock.nowMs() + UNKNOWN_MS);
      else metrics.event('stray-found');
      return holder;
    } finally {
      this.#searches -= 1;
    }
  }

  async #has(node: NodeId, id: BlockId, signal: AbortSignal): Promise<boolean> {
    const { client, clock, logger } = this.#parts;
    const wait = { what: `asking ${node} for ${id}`, timeoutMs: ASK_TIMEOUT_MS, signal };
    try {
      const [tier] = await withDeadline(clock, wait, (timed) => client.holds(node, [id], timed));
      return tier !== undefined;
    } catch (error) {
      if (signal.aborted) return false;
      if (!(error instanceof PeerError) && !(error instanceof DeadlineError)) throw error;
      logger.debug({ node, block: id, error: String(error) }, 'a member was asked in vain');
      return false;
    }
  }
}
