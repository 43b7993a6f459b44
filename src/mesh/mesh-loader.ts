import { LRUCache } from 'lru-cache';
import { type BlockId, type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { Clock } from '../runtime/clock.ts';
import { sleep, withDeadline } from '../runtime/deadline.ts';
import type { LeaseRef, LeaseTable } from '../runtime/lease-table.ts';
import type { Logger } from '../runtime/logger.ts';
import type { DiskTier, HeldFile, MemoryTier } from '../store/tier.ts';
import { BlockFlight } from './block-flight.ts';
import type { BlockRoute } from './block-route.ts';
import type { LoadMetrics } from './load-metrics.ts';
import { type BlockBytes, type BlockLoader, BlockReadError } from './loader.ts';
import { PrefetchQueue } from './prefetch-queue.ts';

/** A local disk that does not answer for this long is passed over. */
const DISK_TIMEOUT_MS = 5_000;
/** A whole block that is not there after this long has failed, whatever its sources still try. */
const FLIGHT_TIMEOUT_MS = 120_000;
/** How long a flight waits for room in the memory tier before the block is brought uncached. */
const ROOM_WAIT_MS = 200;
const ROOM_POLL_MS = 10;
/** Blocks brought whole at once for read-ahead. */
const READ_AHEAD_WORKERS = 16;
const READ_AHEAD_QUEUE_MAX = 256;
/** Blocks of which one small part was read lately; the second part brings the block. */
const TOUCHED_BLOCKS_MAX = 8_192;
const DISK_LEASES_MAX = 65_536;

/** What a {@link MeshLoader} works with. */
export interface MeshLoaderParts {
  readonly memory: MemoryTier;
  /** Undefined without a cache directory. */
  readonly disk: DiskTier | undefined;
  readonly route: BlockRoute;
  /** Whether the origin can give parts of a block. */
  readonly rangeable: boolean;
  readonly leases: LeaseTable;
  /** Memory kept for cached blocks is more than nothing. */
  readonly keepInMemory: boolean;
  /** Background loads of whole blocks after small reads, at once (`--prefetch`). */
  readonly prefetchWorkers: number;
  readonly clock: Clock;
  readonly metrics: LoadMetrics;
  readonly logger: Logger;
}

/** How a block is to be read. */
export interface LoadOptions {
  /** On a miss bring the whole block. */
  readonly whole: boolean;
  /** Ask the block's owner before the origin; false when a peer asks us. */
  readonly forward: boolean;
  readonly signal: AbortSignal;
}

interface FlightPlan {
  readonly forward: boolean;
  readonly keepOnDisk: boolean;
  /** Its name among the flights. */
  readonly name: string;
}

/** Flights are given this long to end when the daemon stops. */
const STOP_TIMEOUT_MS = 5_000;

/**
 * The load path: local memory, a flight that is under way, local disk, then the route (owner, next
 * owner, origin). One flight per block, and one more when a peer asks for a block that we are
 * getting from a peer ourselves: such a request must never wait for another peer.
 *
 * Kept: what this node owns goes to memory and disk; what another node owns goes to memory only, so
 * that the disks of a group add up.
 */
export class MeshLoader implements BlockLoader {
  readonly #parts: MeshLoaderParts;
  readonly #flights = new Map<string, BlockFlight>();
  readonly #touched = new LRUCache<BlockId, true>({ max: TOUCHED_BLOCKS_MAX });
  readonly #diskLeases = new LRUCache<BlockId, LeaseRef>({ max: DISK_LEASES_MAX });
  readonly #readAhead: PrefetchQueue;
  readonly #prefetch: PrefetchQueue;
  readonly #stopping = new AbortController();
  readonly #landing = new Set<Promise<void>>();

  constructor(parts: MeshLoaderParts) {
    this.#parts = parts;
    const onDrop = () => parts.metrics.event('prefetch-dropped');
    this.#readAhead = new PrefetchQueue({
      workers: READ_AHEAD_WORKERS,
      queueMax: READ_AHEAD_QUEUE_MAX,
      onDrop,
    });
    this.#prefetch = new PrefetchQueue({
      workers: parts.prefetchWorkers,
      queueMax: Math.max(4 * parts.prefetchWorkers, 10),
      onDrop,
    });
  }

  async start(): Promise<void> {}

  /** Ends all flights; what readers hold stays valid until they release it. */
  async stop(): Promise<void> {
    this.#readAhead.clear();
    this.#prefetch.clear();
    this.#stopping.abort(new BlockReadError('failed', 'the daemon is stopping'));
    const ended = Promise.allSettled([...this.#landing]);
    await Promise.race([ended, sleep(this.#parts.clock, STOP_TIMEOUT_MS)]);
  }

  read(
    key: BlockKey,
    range: ByteRange,
    options: { whole: boolean; signal: AbortSignal },
  ): Promise<BlockBytes> {
    return this.load(key, range, { ...options, forward: true });
  }

  /** {@link BlockLoader.read} with a choice about forwarding. */
  async load(key: BlockKey, range: ByteRange, options: LoadOptions): Promise<BlockBytes> {
    const bytes =
      (await this.#local(key, range, options)) ?? (await this.#beyond(key, range, options));
    this.#parts.metrics.read(bytes.from, range.length);
    return bytes;
  }

  prefetch(key: BlockKey, done: () => void = () => undefined): void {
    const id = blockIdOf(key);
    if (this.lease(key) !== undefined) {
      done();
      return;
    }
    this.#readAhead.add(id, () => this.#bringWhole(key), done);
  }

  lease(key: BlockKey): LeaseRef | undefined {
    const id = blockIdOf(key);
    const held = this.#parts.memory.get(id);
    if (held !== undefined) {
      held.release();
      return held.lease;
    }
    const lease = this.#diskLeases.get(id);
    if (lease === undefined || this.#parts.leases.isCurrent(lease)) return lease;
    // The file was closed or evicted: with its old lease the block would never be read ahead again.
    this.#diskLeases.delete(id);
    return undefined;
  }

  async #local(key: BlockKey, range: ByteRange, options: LoadOptions) {
    const id = blockIdOf(key);
    const inMemory = this.#fromMemory(id, range);
    if (inMemory !== undefined) return inMemory;
    const flight = this.#flightOf(id, options.forward);
    if (flight !== undefined) {
      this.#parts.metrics.event('joined');
      return flight.read(range, options.signal);
    }
    return this.#fromDisk(id, range, options.signal);
  }

  #fromMemory(id: BlockId, range: ByteRange): BlockBytes | undefined {
    const held = this.#parts.memory.get(id);
    if (held === undefined) return undefined;
    const bytes = held.bytes.subarray(range.offset, range.offset + range.length);
    return { bytes, from: 'memory', release: () => held.release() };
  }

  async #fromDisk(id: BlockId, range: ByteRange, signal: AbortSignal) {
    const { disk, clock, metrics, logger } = this.#parts;
    if (disk === undefined) return undefined;
    try {
      return await withDeadline(
        clock,
        { what: `cached block ${id}`, timeoutMs: DISK_TIMEOUT_MS, signal },
        async (timed) => {
          const file = await disk.open(id, timed);
          return file === undefined ? undefined : await this.#readFile(id, file, range, timed);
        },
      );
    } catch (error) {
      if (signal.aborted) throw error;
      metrics.event('disk-slow');
      logger.warn({ block: id, error: String(error) }, 'a cached block could not be read');
      return undefined;
    }
  }

  async #readFile(id: BlockId, file: HeldFile, range: ByteRange, signal: AbortSignal) {
    try {
      if (file.lease !== undefined) this.#diskLeases.set(id, file.lease);
      const bytes = Buffer.allocUnsafe(range.length);
      await file.read(range, bytes, signal);
      return { bytes, from: 'disk' as const, release: () => undefined };
    } finally {
      file.release();
    }
  }

  #beyond(key: BlockKey, range: ByteRange, options: LoadOptions): Promise<BlockBytes> {
    const small = range.offset > 0 && range.length <= key.sizeBytes / 4;
    if (small && !options.whole && this.#parts.rangeable) {
      return this.#bringRange(key, range, options);
    }
    return this.#bringAndRead(key, range, options);
  }

  async #bringRange(key: BlockKey, range: ByteRange, options: LoadOptions): Promise<BlockBytes> {
    const id = blockIdOf(key);
    this.#parts.metrics.event('range');
    if (this.#touched.has(id)) this.#prefetch.add(id, () => this.#bringWhole(key));
    else this.#touched.set(id, true);
    return this.#bringUncached(key, range, options);
  }

  async #bringUncached(key: BlockKey, range: ByteRange, options: LoadOptions): Promise<BlockBytes> {
    const into = Buffer.allocUnsafe(range.length);
    let from: 'peer' | 'origin' = 'origin';
    const target = {
      into,
      onSource: (source: 'peer' | 'origin') => {
        from = source;
      },
      onProgress: () => undefined,
    };
    await this.#parts.route.fill(key, range, target, options);
    return { bytes: into, from, release: () => undefined };
  }

  async #bringAndRead(key: BlockKey, range: ByteRange, options: LoadOptions): Promise<BlockBytes> {
    const id = blockIdOf(key);
    const flight = await this.#flight(key, options);
    if (flight !== undefined && !flight.isOver) return flight.read(range, options.signal);
    // While this read waited for room, or for its turn, the block may have landed.
    const inMemory = this.#fromMemory(id, range);
    if (inMemory !== undefined) return inMemory;
    this.#parts.metrics.event('uncached');
    return this.#bringUncached(key, range, options);
  }

  async #bringWhole(key: BlockKey): Promise<void> {
    const signal = this.#stopping.signal;
    const range = { offset: 0, length: key.sizeBytes };
    const options: LoadOptions = { whole: true, forward: true, signal };
    try {
      const id = blockIdOf(key);
      if (this.#parts.memory.has(id) || (await this.#isOnDisk(id, signal))) return;
      const flight = this.#flightOf(id, true) ?? (await this.#flight(key, options));
      if (flight === undefined || flight.isOver) return;
      (await flight.read(range, signal)).release();
    } catch (error) {
      this.#parts.logger.debug(
        { block: blockIdOf(key), error: String(error) },
        'read-ahead failed',
      );
    }
  }

  /** Also leaves the block's lease, by which worker threads read the cache file. */
  async #isOnDisk(id: BlockId, signal: AbortSignal): Promise<boolean> {
    const { disk, clock } = this.#parts;
    if (disk?.has(id) !== true) return false;
    const wait = { what: `cached block ${id}`, timeoutMs: DISK_TIMEOUT_MS, signal };
    return withDeadline(clock, wait, async (timed) => {
      // Released in here: a file that comes after the deadline must not stay held.
      const file = await disk.open(id, timed);
      if (file?.lease !== undefined) this.#diskLeases.set(id, file.lease);
      file?.release();
      return file !== undefined;
    });
  }

  #flightOf(id: BlockId, forward: boolean): BlockFlight | undefined {
    const own = this.#flights.get(`${id}/own`);
    return own ?? (forward ? this.#flights.get(`${id}/forward`) : undefined);
  }

  /** @returns undefined when there is no room for the block, or it has landed meanwhile */
  async #flight(key: BlockKey, options: LoadOptions): Promise<BlockFlight | undefined> {
    const { clock, memory } = this.#parts;
    const id = blockIdOf(key);
    const until = clock.nowMs() + ROOM_WAIT_MS;
    for (;;) {
      const running = this.#flightOf(id, options.forward);
      if (running !== undefined) return running;
      if (memory.has(id)) return undefined;
      const reservation = memory.reserve(key.sizeBytes);
      if (reservation !== undefined) {
        return this.#takeOff(key, new BlockFlight(reservation), options.forward);
      }
      if (clock.nowMs() >= until) return undefined;
      await sleep(clock, ROOM_POLL_MS, options.signal);
    }
  }

  #takeOff(key: BlockKey, flight: BlockFlight, forward: boolean): BlockFlight {
    const owned = this.#parts.route.owns(key);
    const name = `${blockIdOf(key)}/${forward && !owned ? 'forward' : 'own'}`;
    this.#flights.set(name, flight);
    const landing = this.#fly(key, flight, { forward, keepOnDisk: owned || !forward, name });
    this.#landing.add(landing);
    void landing.finally(() => this.#landing.delete(landing));
    return flight;
  }

  async #fly(key: BlockKey, flight: BlockFlight, how: FlightPlan): Promise<void> {
    const { clock, route } = this.#parts;
    const id = blockIdOf(key);
    const wait = {
      what: `block ${id}`,
      timeoutMs: FLIGHT_TIMEOUT_MS,
      signal: this.#stopping.signal,
    };
    const target = {
      into: flight.bytes,
      onSource: (from: 'peer' | 'origin') => {
        flight.from = from;
      },
      onProgress: (readyBytes: number) => flight.progress(readyBytes),
    };
    const range = { offset: 0, length: key.sizeBytes };
    let filling: Promise<void> = Promise.resolve();
    try {
      await withDeadline(clock, wait, (signal) => {
        filling = route.fill(key, range, target, { forward: how.forward, signal });
        return filling;
      });
      this.#land(id, flight, how.keepOnDisk);
      this.#flights.delete(how.name);
    } catch (error) {
      this.#flights.delete(how.name);
      const leave = flight.fail(asReadError(error));
      await filling.catch(() => undefined);
      leave();
    }
  }

  #land(id: BlockId, flight: BlockFlight, keepOnDisk: boolean): void {
    const { disk, keepInMemory } = this.#parts;
    const held = flight.land(id, { keep: keepInMemory });
    if (disk !== undefined && keepOnDisk) disk.put(id, held.bytes, () => held.release());
    else held.release();
  }
}

function asReadError(error: unknown): BlockReadError {
  if (error instanceof BlockReadError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new BlockReadError('failed', message, { cause: error, retryable: true });
}
