import { type BlockId, type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { Clock } from '../runtime/clock.ts';
import type { MemoryTier } from '../store/tier.ts';
import { BlockFlight } from './block-flight.ts';
import type { BlockRoute } from './block-route.ts';
import type { AttemptResult } from './fill-attempt.ts';
import { LEVELS } from './flight-book.ts';
import type { Flights } from './flights.ts';
import type { LoadMetrics } from './load-metrics.ts';
import { BlockReadError } from './loader.ts';
import { PrefetchQueue } from './prefetch-queue.ts';
import type { RoutePlan, RouteStep } from './route-plan.ts';

/** A larger block costs more than the round trip that it would save. */
const GATHERED_BYTES_MAX = 1024 * 1024;
/** Blocks of one request, and their bytes: what a reader of the last one waits for at most. */
const BATCH_BLOCKS_MAX = 64;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** A peer that has to get blocks first is asked for so few at a time. */
const BATCH_BLOCKS_MIN = 8;
/** Requests to one peer at once: one is answered while the bytes of the other are taken. */
const BATCHES_AT_ONCE = 2;
/** Blocks that wait for their request to one peer; more are dropped. */
const WAITING_MAX = 512;
/** Blocks that no peer is asked for first: brought at once, and waiting. */
const SINGLY_AT_ONCE = 8;
const SINGLY_WAITING_MAX = 256;
/** A reader that needs a block of a batch should not wait longer than this for the others. */
const SLOW_BATCH_MS = 60;
const FAST_BATCH_MS = 25;

type PeerStep = RouteStep & { readonly kind: 'peer' };

/** What gathering works with. */
export interface GatheringParts {
  readonly memory: MemoryTier;
  readonly route: BlockRoute;
  readonly flights: Flights;
  readonly clock: Clock;
  readonly metrics: LoadMetrics;
  /** Brings one block along its route. Never rejects. */
  bring(key: BlockKey): Promise<void>;
  /** A block can be read by threads of this node. */
  isCached(key: BlockKey): boolean;
  /** A block is in a tier, or on its way. */
  isAtHand(key: BlockKey): boolean;
}

interface Wanted {
  readonly key: BlockKey;
  readonly id: BlockId;
  readonly plan: RoutePlan;
  readonly done: () => void;
}

interface Boarded extends Wanted {
  readonly flight: BlockFlight;
}

/** Requests of one kind to one peer. */
interface Lane {
  readonly step: PeerStep;
  readonly waiting: Map<BlockId, Wanted>;
  running: number;
  /** Blocks of the next request: fewer when the last one took long, more when it was fast. */
  blocksMax: number;
}

/**
 * Brings small blocks ahead of their readers, many in one request to the peer that keeps them. Each
 * is an ordinary flight from when its request is sent, so a reader who comes for it joins; until then
 * nothing keeps a reader from asking by itself.
 *
 * What a request does not deliver goes on along its own route when somebody waits for it, hedges and
 * all, and is dropped otherwise: nobody needs it yet, and the origin is not asked on suspicion.
 */
export class Gathering {
  readonly #parts: GatheringParts;
  readonly #lanes = new Map<string, Lane>();
  readonly #singly: PrefetchQueue;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(parts: GatheringParts) {
    this.#parts = parts;
    const onDrop = () => parts.metrics.event('prefetch-dropped');
    const limits = { workers: SINGLY_AT_ONCE, queueMax: SINGLY_WAITING_MAX };
    this.#singly = new PrefetchQueue({ ...limits, onDrop });
  }

  /** Begins no more requests and ends those under way. @returns when they have ended */
  async stop(reason: Error): Promise<void> {
    this.#stopping.abort(reason);
    this.#singly.clear();
    for (const lane of this.#lanes.values()) this.#forget(lane);
    await Promise.all(this.#running);
  }

  /** @see BlockLoader.gather */
  gather(keys: readonly BlockKey[], done: (key: BlockKey) => void): void {
    const parts = this.#parts;
    for (const key of keys) {
      if (parts.isCached(key)) {
        done(key);
        continue;
      }
      const plan = parts.route.plan(key, 'reader');
      const [step] = plan.steps;
      const isElsewhere = step?.kind === 'peer' && key.sizeBytes <= GATHERED_BYTES_MAX;
      if (isElsewhere && !parts.isAtHand(key)) this.#add(key, plan, step, () => done(key));
      else this.#bringSingly(key, () => done(key));
    }
    // Requests leave as soon as a turn is free: a lone block waits for nobody.
    for (const lane of this.#lanes.values()) this.#advance(lane);
  }

  #add(key: BlockKey, plan: RoutePlan, step: PeerStep, done: () => void): void {
    const id = blockIdOf(key);
    const lane = this.#laneOf(step);
    if (lane.waiting.has(id) || lane.waiting.size >= WAITING_MAX || this.#stopping.signal.aborted) {
      this.#parts.metrics.event('prefetch-dropped');
      done();
      return;
    }
    lane.waiting.set(id, { key, id, plan, done });
  }

  #bringSingly(key: BlockKey, done: () => void): void {
    this.#singly.add(blockIdOf(key), () => this.#parts.bring(key), done);
  }

  #advance(lane: Lane): void {
    while (lane.running < BATCHES_AT_ONCE && lane.waiting.size > 0) {
      const batch = this.#board(lane);
      if (batch.length === 0) continue;
      lane.running += 1;
      const request = this.#request(lane, batch).finally(() => {
        lane.running -= 1;
        this.#running.delete(request);
        this.#advance(lane);
      });
      this.#running.add(request);
    }
    if (lane.running === 0 && lane.waiting.size === 0) this.#lanes.delete(laneName(lane.step));
  }

  /** Takes the blocks of one request and gives them memory; what is here or under way is left out. */
  #board(lane: Lane): Boarded[] {
    const { memory, flights, metrics } = this.#parts;
    const batch: Boarded[] = [];
    let bytes = 0;
    for (const wanted of lane.waiting.values()) {
      const { key, id, plan, done } = wanted;
      const isFull = batch.length >= lane.blocksMax || bytes + key.sizeBytes > BATCH_BYTES_MAX;
      if (isFull && batch.length > 0) break;
      lane.waiting.delete(id);
      const isComing = memory.has(id) || flights.book.find(id, LEVELS) !== undefined;
      const room = isComing ? undefined : memory.reserve(key.sizeBytes);
      if (room === undefined) {
        if (!isComing) metrics.event('prefetch-dropped');
        done();
        continue;
      }
      const flight = new BlockFlight(room);
      flight.from = 'peer';
      flights.book.enter(id, plan.level, flight);
      bytes += key.sizeBytes;
      batch.push({ ...wanted, flight });
    }
    return batch;
  }

  /** Never rejects. */
  async #request(lane: Lane, batch: readonly Boarded[]): Promise<void> {
    const { route, clock, metrics } = this.#parts;
    const startedMs = clock.nowMs();
    const left = new Map(batch.map((boarded) => [boarded.key, boarded]));
    const results = new Map<Boarded, AttemptResult>();
    const onDone = (key: BlockKey, result: AttemptResult) => {
      const boarded = left.get(key);
      if (boarded === undefined) return;
      if (!result.ok) {
        results.set(boarded, result);
        return;
      }
      left.delete(key);
      this.#land(boarded);
    };
    const blocks = batch.map(({ key, flight }) => ({ key, into: flight.bytes }));
    metrics.event('gathered');
    const rest = await route.gather(lane.step, blocks, { onDone, signal: this.#stopping.signal });
    this.#pace(lane, clock.nowMs() - startedMs);
    for (const boarded of left.values()) this.#goOn(boarded, results.get(boarded) ?? rest);
  }

  #land({ key, flight, plan, done }: Boarded): void {
    this.#parts.flights.land(key, flight, plan);
    done();
  }

  /** The request did not bring the block, and nothing of it writes into its memory any more. */
  #goOn({ key, flight, plan, done }: Boarded, result: AttemptResult): void {
    const parts = this.#parts;
    const { aborted } = this.#stopping.signal;
    if (flight.isLonely || aborted) {
      const error = result.ok ? undefined : result.error;
      parts.flights.drop(
        key,
        flight,
        plan,
        error ?? new BlockReadError('failed', 'the peer did not deliver it'),
      );
      const isOurs = !result.ok && error === undefined && plan.level === 'end' && !aborted;
      if (isOurs) return this.#bringSingly(key, done);
      parts.metrics.event('prefetch-dropped');
      return done();
    }
    const instead = result.ok ? [] : result.instead;
    const steps = [...instead, ...plan.steps.slice(1)];
    void parts.flights.fly(key, flight, { ...plan, steps }).then(done);
  }

  #pace(lane: Lane, tookMs: number): void {
    if (tookMs > SLOW_BATCH_MS) lane.blocksMax = Math.max(BATCH_BLOCKS_MIN, lane.blocksMax >> 1);
    else if (tookMs < FAST_BATCH_MS)
      lane.blocksMax = Math.min(BATCH_BLOCKS_MAX, lane.blocksMax * 2);
  }

  #laneOf(step: PeerStep): Lane {
    const name = laneName(step);
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = { step, waiting: new Map(), running: 0, blocksMax: BATCH_BLOCKS_MAX };
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  #forget(lane: Lane): void {
    for (const { done } of lane.waiting.values()) done();
    lane.waiting.clear();
  }
}

function laneName({ node, mode, role }: PeerStep): string {
  return `${node}/${mode}/${role}`;
}
