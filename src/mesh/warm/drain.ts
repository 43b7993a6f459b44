import { type BlockId, type BlockKey, blockIdOf, parseBlockId } from '../../block/block-key.ts';
import type { Clock } from '../../runtime/clock.ts';
import { abortReason, sleep } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { DiskTier, MemoryTier } from '../../store/tier.ts';
import type { GroupRing } from '../group-ring.ts';
import type { WarmMetrics } from './warm-metrics.ts';
import type { KeptAs, WarmRun } from './warm-run.ts';

/** Blocks that each next owner takes at once: a drain must not get in the way of readers. */
const PARALLEL = 8;
/** After a round in which some blocks found no taker. */
const PAUSE_MS = 2_000;

/** `off`: this node keeps blocks for the group; `empty`: all that it had is with others. */
export type DrainState = 'off' | 'draining' | 'empty';

/** How far a drain is. */
export interface DrainProgress {
  readonly state: DrainState;
  /** Blocks that are with their next owners, and how many of them these had already. */
  readonly blocksDone: number;
  readonly blocksHeld: number;
  readonly bytesDone: number;
  /** Blocks that are still to go. */
  readonly blocksLeft: number;
  readonly bytesLeft: number;
  /** Blocks that found no taker in the present round or the last one; they are tried again. */
  readonly blocksFailed: number;
  /** Why the first of them failed. */
  readonly error: string | undefined;
  readonly elapsedMs: number;
}

/** What a {@link Drain} works with. */
export interface DrainParts {
  readonly ring: GroupRing;
  readonly memory: MemoryTier;
  readonly disk: DiskTier | undefined;
  /** Nodes that keep each block. */
  readonly replicas: number;
  /** Begins to hand blocks over to the `holder`-th of the nodes that are to keep them. */
  readonly handOver: (options: {
    parallel: number;
    signal: AbortSignal;
    holder: number;
  }) => Pick<WarmRun, 'add' | 'finish'>;
  readonly clock: Clock;
  readonly metrics: WarmMetrics;
  readonly logger: Logger;
}

/**
 * Hands over all blocks of this node, whose weight is 0 from now on, to those that own them without
 * it. They fetch them from here; a block that all of its holders have is dropped here.
 */
export class Drain {
  readonly #parts: DrainParts;
  #ending: AbortController | undefined;
  #state: DrainState = 'off';
  #startedMs = 0;
  #endedMs: number | undefined;
  #blocksDone = 0;
  #blocksHeld = 0;
  #bytesDone = 0;
  #blocksLeft = 0;
  #bytesLeft = 0;
  #blocksFailed = 0;
  #error: string | undefined;

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  get progress(): DrainProgress {
    const endMs = this.#endedMs ?? this.#parts.clock.nowMs();
    return {
      state: this.#state,
      blocksDone: this.#blocksDone,
      blocksHeld: this.#blocksHeld,
      bytesDone: this.#bytesDone,
      blocksLeft: this.#blocksLeft,
      bytesLeft: this.#bytesLeft,
      blocksFailed: this.#blocksFailed,
      error: this.#error,
      elapsedMs: this.#state === 'off' ? 0 : Math.round(endMs - this.#startedMs),
    };
  }

  /** Begins to hand over, or goes on. */
  begin(): void {
    if (this.#ending !== undefined) return;
    const { clock, logger } = this.#parts;
    const ending = new AbortController();
    this.#ending = ending;
    this.#state = 'draining';
    this.#startedMs = clock.nowMs();
    this.#endedMs = undefined;
    this.#blocksDone = 0;
    this.#blocksHeld = 0;
    this.#bytesDone = 0;
    logger.info({}, 'this node hands its blocks over to their next owners');
    this.#run(ending.signal).catch((error: unknown) => {
      if (ending.signal.aborted) return;
      this.#error = String(error);
      logger.error({ err: error }, 'the drain broke; end it and begin anew');
    });
  }

  /** Hands nothing over any more: this node keeps blocks again, or the daemon stops. */
  end(): void {
    this.#ending?.abort(new Error('the drain was ended'));
    this.#ending = undefined;
    this.#state = 'off';
    this.#error = undefined;
  }

  /** Rounds until nothing is left: peers with an older view may bring more meanwhile. */
  async #run(signal: AbortSignal): Promise<void> {
    const { disk, memory, clock, logger } = this.#parts;
    await disk?.scanned();
    // With a disk, memory also holds what this node has read of others; only once is all of it looked at.
    let ids = new Set<BlockId>([...(disk?.ids() ?? []), ...memory.ids()]);
    while (ids.size > 0) {
      if (signal.aborted) throw abortReason(signal);
      const failed = await this.#round([...ids], signal);
      if (failed.length > 0) await sleep(clock, PAUSE_MS, signal);
      await disk?.flushed();
      ids = new Set([...failed, ...(disk?.ids() ?? [])]);
    }
    if (signal.aborted) throw abortReason(signal);
    this.#state = 'empty';
    this.#endedMs = clock.nowMs();
    const { blocksDone, bytesDone, elapsedMs } = this.progress;
    logger.info({ blocksDone, bytesDone, elapsedMs }, 'this node is empty');
  }

  /** @returns blocks that did not find their takers and are still here */
  async #round(ids: readonly BlockId[], signal: AbortSignal): Promise<BlockId[]> {
    const { replicas, handOver, logger } = this.#parts;
    const keys = ids.map((id) => parseBlockId(id)).filter((key) => key !== undefined);
    this.#blocksLeft = keys.length;
    this.#bytesLeft = keys.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    this.#blocksFailed = 0;
    this.#error = undefined;
    const runs = Array.from({ length: replicas }, (_, holder) =>
      handOver({ parallel: PARALLEL, signal, holder }),
    );
    const failed: BlockId[] = [];
    for (const key of keys) {
      if (!this.#isHere(blockIdOf(key))) this.#settle(key, 'gone');
      else await this.#offer(key, runs, failed);
    }
    await Promise.all(runs.map((run) => run.finish()));
    const { blocksDone, bytesDone } = this.progress;
    logger.info({ blocksDone, bytesDone, failed: failed.length }, 'blocks were handed over');
    return failed;
  }

  /** Offers a block to all that are to keep it; resolves when they are asked. */
  async #offer(
    key: BlockKey,
    runs: readonly Pick<WarmRun, 'add'>[],
    failed: BlockId[],
  ): Promise<void> {
    const id = blockIdOf(key);
    // In a group with fewer members than copies, the others cannot be had.
    const takers = Math.min(runs.length, this.#parts.ring.owners(id, runs.length).length);
    let open = Math.max(1, takers);
    let isHeld = true;
    let hasFailed = false;
    const onKept = (kept: KeptAs, error: string | undefined) => {
      open -= 1;
      if (kept === 'failed') {
        hasFailed = true;
        this.#error ??= error;
      } else if (kept === 'fetched') isHeld = false;
      if (open > 0) return;
      if (hasFailed) failed.push(id);
      else this.#drop(id);
      this.#settle(key, hasFailed ? 'failed' : isHeld ? 'held' : 'fetched');
    };
    for (const run of runs.slice(0, open)) await run.add(key, onKept);
  }

  #settle(key: BlockKey, outcome: KeptAs | 'gone'): void {
    this.#blocksLeft -= 1;
    this.#bytesLeft -= key.sizeBytes;
    if (outcome === 'failed') this.#blocksFailed += 1;
    if (outcome === 'fetched' || outcome === 'held') {
      this.#blocksDone += 1;
      this.#bytesDone += key.sizeBytes;
    }
    if (outcome === 'held') this.#blocksHeld += 1;
    this.#parts.metrics.drained(outcome, key.sizeBytes, this.#bytesLeft);
  }

  #isHere(id: BlockId): boolean {
    const { memory, disk } = this.#parts;
    return memory.has(id) || disk?.has(id) === true;
  }

  #drop(id: BlockId): void {
    const { memory, disk } = this.#parts;
    memory.delete(id);
    disk?.delete(id);
  }
}
