import { type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';
import { sleep, withDeadline } from '../runtime/deadline.ts';
import type { MemoryTier } from '../store/tier.ts';
import { BlockFlight } from './block-flight.ts';
import type { BlockRoute } from './block-route.ts';
import type { FilledFrom } from './fill-race.ts';
import { FlightBook, JOINED } from './flight-book.ts';
import { BlockReadError } from './loader.ts';
import type { LocalBlocks } from './local-blocks.ts';
import type { Replicator } from './replicator.ts';
import type { Asker, RoutePlan } from './route-plan.ts';

/** A whole block that is not there after this long has failed, whatever its sources still try. */
const FLIGHT_TIMEOUT_MS = 120_000;
/** How long a flight waits for room in the memory tier before the block is brought uncached. */
const ROOM_WAIT_MS = 200;
const ROOM_POLL_MS = 10;

/** What {@link Flights} work with. */
export interface FlightsParts {
  readonly memory: MemoryTier;
  readonly local: LocalBlocks;
  readonly route: BlockRoute;
  /** Undefined outside a cache group. */
  readonly replicator?: Replicator | undefined;
  /** Memory kept for cached blocks is more than nothing. */
  readonly keepInMemory: boolean;
  readonly clock: Clock;
}

/** How a block is to be read. */
export interface LoadOptions {
  /** On a miss bring the whole block. */
  readonly whole: boolean;
  /** For whom, which decides how far we may go for it. */
  readonly asker: Asker;
  /** A member that has the block, to be asked first. */
  readonly holder?: NodeId | undefined;
  readonly signal: AbortSignal;
}

/** A load that found nothing here. */
export interface Miss extends LoadOptions {
  /** The disk had the block and could not give it: it is not asked again. */
  readonly diskFailed?: boolean;
}

/**
 * Whole blocks on their way into this node: they take off along their route, land in the tiers, and
 * are in the book meanwhile, so that whoever may wait for one joins it.
 */
export class Flights {
  /** Those that are under way. */
  readonly book = new FlightBook();
  readonly #parts: FlightsParts;
  readonly #stopping: AbortSignal;
  readonly #landing = new Set<Promise<void>>();

  /** @param stopping - aborted when the daemon stops: what takes off from then on is cancelled */
  constructor(parts: FlightsParts, stopping: AbortSignal) {
    this.#parts = parts;
    this.#stopping = stopping;
  }

  /**
   * The flight that brings a block: one that is under way and may be joined, or a new one.
   *
   * @returns undefined when there is no room for the block, or it has landed meanwhile
   * @throws the signal's reason when aborted while it waits for room
   */
  async bring(key: BlockKey, options: Miss): Promise<BlockFlight | undefined> {
    const { clock, memory, local } = this.#parts;
    const id = blockIdOf(key);
    const until = clock.nowMs() + ROOM_WAIT_MS;
    for (;;) {
      const running = this.book.find(id, JOINED[options.asker]);
      if (running !== undefined) return running;
      if (memory.has(id) || (options.diskFailed !== true && local.has(id))) return undefined;
      const reservation = memory.reserve(key.sizeBytes);
      if (reservation !== undefined) {
        return this.#takeOff(key, new BlockFlight(reservation), options);
      }
      if (clock.nowMs() >= until) return undefined;
      await sleep(clock, ROOM_POLL_MS, options.signal);
    }
  }

  /** A flight in the book goes along its route. Never rejects; resolves when it has landed or failed. */
  fly(key: BlockKey, flight: BlockFlight, plan: RoutePlan): Promise<void> {
    const landing = this.#fly(key, flight, plan);
    this.#landing.add(landing);
    return landing.finally(() => this.#landing.delete(landing));
  }

  /** A flight has all bytes: the tiers take them over. */
  land(key: BlockKey, flight: BlockFlight, { keepOnDisk, level }: RoutePlan): void {
    const id = blockIdOf(key);
    const { local, memory, keepInMemory } = this.#parts;
    const held = flight.land(id, { keep: keepInMemory });
    this.#parts.replicator?.landed(key);
    const done = () => {
      this.book.leave(id, level, flight);
      flight.markKept();
    };
    local.keep(id, held, { onDisk: keepOnDisk, done });
    // A block that is in no tier until the disk has it is read from its flight until then.
    if (memory.has(id)) this.book.leave(id, level, flight);
  }

  /** A flight ends without its bytes, and nothing writes into its memory. */
  drop(key: BlockKey, flight: BlockFlight, plan: RoutePlan, reason: Error): void {
    this.book.leave(blockIdOf(key), plan.level, flight);
    flight.fail(asReadError(reason))();
    flight.markKept();
  }

  /** Ends the flight that the owner of a block began, unless somebody reads from it. */
  abandon(key: BlockKey): void {
    const id = blockIdOf(key);
    const flight = this.book.find(id, JOINED.final);
    if (flight?.isLonely !== true) return;
    // Whoever asks from here on begins anew.
    this.book.leave(id, 'end', flight);
    flight.cancel(new BlockReadError('failed', 'nobody wants the block any more'));
  }

  /** Ends all of them. Resolves when nothing flies any more. */
  async stop(reason: Error): Promise<void> {
    this.book.cancelAll(reason);
    await Promise.allSettled(this.#landing);
  }

  #takeOff(key: BlockKey, flight: BlockFlight, options: LoadOptions): BlockFlight {
    const plan = this.#parts.route.plan(key, options.asker, options.holder);
    this.book.enter(blockIdOf(key), plan.level, flight);
    if (this.#stopping.aborted) flight.cancel(this.#stopping.reason as Error);
    void this.fly(key, flight, plan);
    return flight;
  }

  async #fly(key: BlockKey, flight: BlockFlight, plan: RoutePlan): Promise<void> {
    const { clock, route } = this.#parts;
    const id = blockIdOf(key);
    const wait = {
      what: `block ${id}`,
      timeoutMs: FLIGHT_TIMEOUT_MS,
      signal: flight.signal,
    };
    const target = {
      key,
      range: { offset: 0, length: key.sizeBytes },
      into: flight.bytes,
      onSource: (from: FilledFrom) => {
        flight.from = from;
      },
      onProgress: (readyBytes: number) => flight.progress(readyBytes),
    };
    let filling: Promise<void> = Promise.resolve();
    try {
      await withDeadline(clock, wait, (signal) => {
        filling = route.fill(plan, { ...target, signal });
        return filling;
      });
      this.land(key, flight, plan);
    } catch (error) {
      this.book.leave(id, plan.level, flight);
      const leave = flight.fail(asReadError(error));
      await filling.catch(() => undefined);
      leave();
      flight.markKept();
    }
  }
}

function asReadError(error: unknown): BlockReadError {
  if (error instanceof BlockReadError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new BlockReadError('failed', message, { cause: error, retryable: true });
}
