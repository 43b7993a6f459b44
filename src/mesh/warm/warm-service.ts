import { type BlockId, type BlockKey, parseBlockId } from '../../block/block-key.ts';
import type { NodeId } from '../../block/node-id.ts';
import { PeerError } from '../../peer/block-exchange.ts';
import type { WarmHandler } from '../../peer/warm-exchange.ts';
import {
  type Evicted,
  WARM_IDS_MAX,
  WarmOutcome,
  type WarmReply,
  type WarmRequest,
} from '../../peer/warm-message.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { Semaphore } from '../../runtime/semaphore.ts';
import type { DiskTier, MemoryTier } from '../../store/tier.ts';
import type { BlockKeeper } from './block-keeper.ts';
import type { WarmMetrics } from './warm-metrics.ts';

/** Batches of one asker at once: a few jobs, each with its window. */
const BATCHES_PER_ASKER = 16;
/** Blocks in batches of all askers together; about 200 bytes each. */
const BLOCKS_MAX = 131_072;
/** A batch that nobody has asked about for this long is given up: its asker is gone. */
const LEASE_MS = 5_000;
const SWEEP_MS = 1_000;

interface Batch {
  readonly from: NodeId;
  readonly job: string;
  readonly keys: readonly BlockKey[];
  /** Who is known to hold the blocks. */
  readonly holder: NodeId | undefined;
  readonly outcomes: Uint8Array;
  readonly ending: AbortController;
  /** Resolves when every block has an outcome. */
  readonly done: Promise<void>;
  error: string | undefined;
  askedAtMs: number;
}

interface Job {
  readonly places: Semaphore;
  batches: number;
}

/** What a {@link WarmService} works with. */
export interface WarmServiceParts {
  readonly keeper: BlockKeeper;
  readonly memory: MemoryTier;
  readonly disk: DiskTier | undefined;
  readonly clock: Clock;
  readonly metrics: WarmMetrics;
  readonly logger: Logger;
}

/**
 * The owner's side of warming up: keeps the blocks that others (or this node itself) ask for, a
 * bounded number at a time, as long as they go on asking.
 */
export class WarmService implements WarmHandler {
  readonly #parts: WarmServiceParts;
  readonly #batches = new Map<string, Batch>();
  readonly #jobs = new Map<string, Job>();
  #sweepTimer: Timer | undefined;
  #isStopped = false;

  constructor(parts: WarmServiceParts) {
    this.#parts = parts;
  }

  async warm(from: NodeId, request: WarmRequest): Promise<WarmReply> {
    const { clock } = this.#parts;
    const name = `${from}/${request.job}/${request.batch}`;
    const batch = this.#batches.get(name) ?? this.#begin(name, from, request);
    if (batch === undefined) return { outcomes: undefined, error: undefined };
    batch.askedAtMs = clock.nowMs();
    const waited = Promise.withResolvers<void>();
    const timer = clock.setTimer(request.waitMs, waited.resolve);
    await Promise.race([batch.done, waited.promise]);
    timer.cancel();
    // Not as blocks that failed: who asked then goes to their next owners.
    if (this.#isStopped) throw stopping();
    batch.askedAtMs = clock.nowMs();
    if (!batch.outcomes.includes(WarmOutcome.pending)) this.#batches.delete(name);
    return { outcomes: batch.outcomes.slice(), error: batch.error };
  }

  cancel(from: NodeId, job: string): void {
    for (const [name, batch] of this.#batches) {
      if (batch.from === from && batch.job === job) this.#end(name, batch, 'the job was cancelled');
    }
  }

  evict(ids: readonly BlockId[]): Evicted {
    const { memory, disk } = this.#parts;
    let blocks = 0;
    let bytes = 0;
    for (const id of ids) {
      if (!memory.has(id) && disk?.has(id) !== true) continue;
      memory.delete(id);
      disk?.delete(id);
      blocks += 1;
      bytes += (parseBlockId(id) as BlockKey).sizeBytes;
    }
    return { blocks, bytes };
  }

  /** Ends everything; nothing more is begun. */
  stop(): void {
    this.#isStopped = true;
    this.#sweepTimer?.cancel();
    for (const [name, batch] of this.#batches) this.#end(name, batch, 'the daemon is stopping');
  }

  #begin(name: string, from: NodeId, request: WarmRequest): Batch | undefined {
    const { job, ids, parallel } = request;
    if (ids === undefined) return undefined;
    if (this.#isStopped) throw stopping();
    this.#checkRoom(from, ids.length);
    const keys = ids.map((id) => parseBlockId(id) as BlockKey);
    const outcomes = new Uint8Array(keys.length);
    const ending = new AbortController();
    const done = Promise.withResolvers<void>();
    const askedAtMs = this.#parts.clock.nowMs();
    const holder = request.handover ? from : undefined;
    const state = { from, job, keys, holder, outcomes, ending, error: undefined, askedAtMs };
    const batch: Batch = { ...state, done: done.promise };
    this.#batches.set(name, batch);
    this.#armSweep();
    void this.#work(batch, this.#enterJob(`${from}/${job}`, parallel)).finally(done.resolve);
    return batch;
  }

  #checkRoom(from: NodeId, count: number): void {
    const batches = [...this.#batches.values()];
    const own = batches.filter((batch) => batch.from === from).length;
    const blocks = batches.reduce((sum, { keys }) => sum + keys.length, 0);
    if (own < BATCHES_PER_ASKER && blocks + count <= BLOCKS_MAX) return;
    this.#parts.metrics.event('busy');
    throw new PeerError('busy', 'too many blocks are being kept', { retryable: true });
  }

  /** Batches of one job share its places. */
  #enterJob(name: string, parallel: number): { places: Semaphore; leave: () => void } {
    const job = this.#jobs.get(name) ?? {
      places: new Semaphore(parallel, BATCHES_PER_ASKER * WARM_IDS_MAX),
      batches: 0,
    };
    this.#jobs.set(name, job);
    job.batches += 1;
    const leave = () => {
      job.batches -= 1;
      if (job.batches === 0) this.#jobs.delete(name);
    };
    return { places: job.places, leave };
  }

  /** Never rejects. */
  async #work(batch: Batch, job: { places: Semaphore; leave: () => void }): Promise<void> {
    await Promise.all(batch.keys.map((_, index) => this.#keep(batch, index, job.places)));
    job.leave();
  }

  async #keep(batch: Batch, index: number, places: Semaphore): Promise<void> {
    const { signal } = batch.ending;
    const key = batch.keys[index] as BlockKey;
    try {
      const keep = () => this.#parts.keeper.keep(key, signal, batch.holder);
      const outcome = await places.run(keep, signal);
      batch.outcomes[index] = WarmOutcome[outcome];
    } catch (error) {
      batch.outcomes[index] = WarmOutcome.failed;
      batch.error ??= error instanceof Error ? error.message : String(error);
    }
  }

  #end(name: string, batch: Batch, why: string): void {
    this.#batches.delete(name);
    batch.ending.abort(new PeerError('failed', why));
  }

  #armSweep(): void {
    this.#sweepTimer ??= this.#parts.clock.setTimer(SWEEP_MS, () => {
      this.#sweepTimer = undefined;
      this.#sweep();
      if (this.#batches.size > 0) this.#armSweep();
    });
  }

  #sweep(): void {
    const { clock, metrics, logger } = this.#parts;
    const oldestMs = clock.nowMs() - LEASE_MS;
    for (const [name, batch] of this.#batches) {
      if (batch.askedAtMs >= oldestMs) continue;
      metrics.event('expired');
      logger.warn({ peer: batch.from, job: batch.job }, 'nobody asks for a warm-up batch any more');
      this.#end(name, batch, 'nobody asks for it any more');
    }
  }
}

function stopping(): PeerError {
  return new PeerError('failed', 'the daemon is stopping');
}
