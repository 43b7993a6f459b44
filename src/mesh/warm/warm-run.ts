import { type BlockKey, blockIdOf } from '../../block/block-key.ts';
import type { NodeId } from '../../block/node-id.ts';
import { PeerError } from '../../peer/block-exchange.ts';
import type { WarmClient } from '../../peer/warm-exchange.ts';
import { WarmOutcome, type WarmReply } from '../../peer/warm-message.ts';
import type { Clock } from '../../runtime/clock.ts';
import { abortReason, sleep } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import { type Batch, OwnerLanes } from './owner-lanes.ts';
import type { WarmMetrics } from './warm-metrics.ts';

/** Blocks that are known and not done, of one run; about 200 bytes each. */
const BLOCKS_MAX = 65_536;
/** How long an owner holds back its answer while it works. */
const POLL_MS = 500;
/** An owner that did not answer gets nothing new for this long. */
const LOST_MS = 10_000;
/** How often a block goes to yet another owner. */
const MOVES_MAX = 4;
const OWNERS_LOOKED_AT = 8;
/** Between two tries with an owner that has no place. */
const BUSY_PAUSE_MS = 250;
/** An owner without a place for this long is passed over. */
const BUSY_MS_MAX = 30_000;
/** How often an owner may have forgotten a batch, since it was started again. */
const FORGOTTEN_MAX = 3;
/** So often in a row an owner may not answer: an answer that got lost must not cost a second fetch. */
const SILENCES_MAX = 1;
/** An owner that gets none of a batch done for this long is passed over; one block may take 3 minutes. */
const STALLED_MS_MAX = 900_000;

/** What became of a block. */
export type KeptAs = 'fetched' | 'held' | 'failed';

/** Told once about each block; `error` says why it failed, as far as its owner said. */
export type OnKept = (kept: KeptAs, error: string | undefined) => void;

/** What a {@link WarmRun} works with. */
export interface WarmRunParts {
  /** Names the run among all of this node. */
  readonly job: string;
  readonly self: NodeId;
  /** The first owners of a block, best first. */
  owners(key: BlockKey, count: number): readonly NodeId[];
  /** Reaches every owner, this node itself too. */
  readonly client: WarmClient;
  reportFailure(node: NodeId): void;
  /** This node holds the blocks and wants to be rid of them: it keeps none itself. */
  readonly handover: boolean;
  /** Blocks that one node fetches for this run at once. */
  readonly parallel: number;
  readonly clock: Clock;
  readonly metrics: WarmMetrics;
  readonly logger: Logger;
  /** Ends the run on all nodes. */
  readonly signal: AbortSignal;
}

interface Item {
  readonly key: BlockKey;
  readonly onKept: OnKept;
  moves: number;
}

/** How an owner does with one batch. */
interface Course {
  readonly count: number;
  readonly busyUntilMs: number;
  /** When it last got a block done. */
  doneAtMs: number;
  silences: number;
  forgotten: number;
}

/** One warm-up: hands blocks to their owners, which fetch them, and follows what becomes of them. */
export class WarmRun {
  readonly #parts: WarmRunParts;
  readonly #lanes = new OwnerLanes<Item>();
  readonly #lostUntilMs = new Map<NodeId, number>();
  readonly #room = new Set<() => void>();
  #open = 0;
  #moved = 0;
  #lastBatch = 0;
  #ended = Promise.withResolvers<void>();

  constructor(parts: WarmRunParts) {
    this.#parts = parts;
    const { signal } = parts;
    if (signal.aborted) this.#cancel();
    else signal.addEventListener('abort', () => this.#cancel(), { once: true });
  }

  /** Blocks that went to another owner than their first. */
  get moved(): number {
    return this.#moved;
  }

  /**
   * Takes a block, as soon as few enough are under way.
   *
   * @throws the signal's reason when aborted
   */
  async add(key: BlockKey, onKept: OnKept): Promise<void> {
    const { signal } = this.#parts;
    while (this.#open >= BLOCKS_MAX && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#room.add(resolve);
      });
    }
    if (signal.aborted) throw abortReason(signal);
    this.#open += 1;
    this.#route({ key, onKept, moves: 0 });
    this.#pump();
  }

  /** Resolves when every block was told about. @throws the signal's reason when aborted */
  async finish(): Promise<void> {
    const { signal } = this.#parts;
    while (this.#open > 0 && !signal.aborted) {
      this.#ended = Promise.withResolvers<void>();
      await this.#ended.promise;
    }
    if (signal.aborted) throw abortReason(signal);
  }

  #route(item: Item): void {
    const { self, clock } = this.#parts;
    const nowMs = clock.nowMs();
    const owners = this.#parts.owners(item.key, OWNERS_LOOKED_AT);
    const owner = owners.find(
      (node) => node === self || (this.#lostUntilMs.get(node) ?? 0) <= nowMs,
    );
    if (owner === undefined && this.#parts.handover) {
      this.#settle(item, 'failed', 'nobody is there to take it');
      return;
    }
    // Without any owner this node keeps the block: somebody has to.
    this.#lanes.add(owner ?? self, item);
  }

  #pump(): void {
    if (this.#parts.signal.aborted) return;
    for (let batch = this.#lanes.take(); batch !== undefined; batch = this.#lanes.take()) {
      void this.#send(batch);
    }
  }

  /** Never rejects. */
  async #send(batch: Batch<Item>): Promise<void> {
    const { owner, items } = batch;
    const open = new Set(items);
    try {
      await this.#follow(batch, open);
    } catch (error) {
      if (!this.#parts.signal.aborted) this.#onLost(owner, error);
    }
    if (this.#parts.signal.aborted) return;
    for (const item of open) {
      this.#lanes.settle(owner, item);
      this.#move(item);
    }
    this.#lanes.close(owner);
    this.#pump();
  }

  /** Asks until the batch is done. @throws PeerError when the owner is of no use any more */
  async #follow({ owner, items }: Batch<Item>, open: Set<Item>): Promise<void> {
    const { job, parallel, handover, signal, clock } = this.#parts;
    this.#lastBatch += 1;
    const batch = this.#lastBatch;
    let ids: readonly ReturnType<typeof blockIdOf>[] | undefined = items.map((item) =>
      blockIdOf(item.key),
    );
    const all = ids;
    const nowMs = clock.nowMs();
    const course: Course = {
      ...{ count: items.length, busyUntilMs: nowMs + BUSY_MS_MAX },
      ...{ doneAtMs: nowMs, silences: 0, forgotten: 0 },
    };
    while (open.size > 0) {
      const request = { job, batch, ids, parallel, waitMs: POLL_MS, handover };
      const reply = await this.#ask(owner, request, course);
      if (signal.aborted) throw abortReason(signal);
      if (reply === 'again') continue;
      const openBefore = open.size;
      if (reply.outcomes !== undefined) this.#take(owner, items, open, reply);
      ids = reply.outcomes === undefined ? all : undefined;
      this.#judge(owner, course, { isKnown: ids === undefined, isDone: open.size < openBefore });
    }
  }

  /** @throws PeerError when an owner forgets batches, or gets nothing done for too long */
  #judge(owner: NodeId, course: Course, reply: { isKnown: boolean; isDone: boolean }): void {
    const nowMs = this.#parts.clock.nowMs();
    if (reply.isDone) course.doneAtMs = nowMs;
    if (!reply.isKnown) course.forgotten += 1;
    if (course.forgotten > FORGOTTEN_MAX) {
      throw new PeerError('protocol', `${owner} forgets batches`);
    }
    // It may be honest, only slow: the membership need not know.
    const stalledMs = nowMs - course.doneAtMs;
    if (stalledMs >= STALLED_MS_MAX) {
      throw new PeerError('failed', `${owner} got no block done within ${stalledMs} ms`);
    }
  }

  async #ask(
    owner: NodeId,
    request: Parameters<WarmClient['warm']>[1],
    course: Course,
  ): Promise<WarmReply | 'again'> {
    const { client, signal, clock } = this.#parts;
    try {
      const reply = await client.warm(owner, request, course.count, signal);
      course.silences = 0;
      return reply;
    } catch (error) {
      const code = error instanceof PeerError ? error.code : undefined;
      if (code === 'timeout' && course.silences < SILENCES_MAX) course.silences += 1;
      else if (code === 'busy' && clock.nowMs() < course.busyUntilMs) {
        await sleep(clock, BUSY_PAUSE_MS, signal);
      } else throw error;
      return 'again';
    }
  }

  #take(owner: NodeId, items: readonly Item[], open: Set<Item>, reply: WarmReply): void {
    items.forEach((item, index) => {
      const kept = keptAs(reply.outcomes?.[index]);
      if (kept === undefined || !open.delete(item)) return;
      this.#lanes.settle(owner, item);
      this.#settle(item, kept, reply.error);
    });
    this.#pump();
  }

  #settle(item: Item, kept: KeptAs, error: string | undefined): void {
    this.#open -= 1;
    item.onKept(kept, kept === 'failed' ? error : undefined);
    const [next] = this.#room;
    if (next !== undefined) {
      this.#room.delete(next);
      next();
    }
    if (this.#open === 0) this.#ended.resolve();
  }

  #onLost(owner: NodeId, error: unknown): void {
    const { self, metrics, logger, clock } = this.#parts;
    metrics.event('owner-lost');
    logger.warn({ peer: owner, error: String(error) }, 'an owner does not warm up, going on');
    if (owner === self) return;
    this.#lostUntilMs.set(owner, clock.nowMs() + LOST_MS);
    const isAlive = error instanceof PeerError && ['busy', 'failed'].includes(error.code);
    if (!isAlive) this.#parts.reportFailure(owner);
    for (const item of this.#lanes.drop(owner)) this.#move(item);
  }

  #move(item: Item): void {
    item.moves += 1;
    if (item.moves > MOVES_MAX) {
      this.#settle(item, 'failed', 'no owner could keep it');
      return;
    }
    this.#moved += 1;
    this.#parts.metrics.event('moved');
    this.#route(item);
  }

  #cancel(): void {
    const { client, job, logger } = this.#parts;
    for (const owner of this.#lanes.busyOwners()) {
      client.cancel(owner, job).catch((error: unknown) => {
        logger.info({ peer: owner, error: String(error) }, 'an owner was not told of the end');
      });
    }
    for (const wake of this.#room) wake();
    this.#room.clear();
    this.#ended.resolve();
  }
}

function keptAs(outcome: number | undefined): KeptAs | undefined {
  switch (outcome) {
    case WarmOutcome.fetched:
      return 'fetched';
    case WarmOutcome.held:
      return 'held';
    case WarmOutcome.failed:
      return 'failed';
    default:
      return undefined;
  }
}
