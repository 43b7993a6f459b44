import { type BlockId, type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { Clock } from '../runtime/clock.ts';
import { sleep } from '../runtime/deadline.ts';
import type { LeaseRef } from '../runtime/lease-table.ts';
import type { Logger } from '../runtime/logger.ts';
import { RecentMap } from '../runtime/recent-map.ts';
import type { MemoryTier } from '../store/tier.ts';
import type { BlockFlight } from './block-flight.ts';
import type { BlockRoute } from './block-route.ts';
import type { FilledFrom } from './fill-race.ts';
import { JOINED, LEVELS } from './flight-book.ts';
import { Flights, type LoadOptions, type Miss } from './flights.ts';
import { Gathering } from './gathering.ts';
import type { LoadMetrics } from './load-metrics.ts';
import {
  type BlockBytes,
  type BlockLoader,
  BlockReadError,
  type CachedFile,
  type CachedFiles,
} from './loader.ts';
import type { LocalBlocks } from './local-blocks.ts';
import { PrefetchQueue } from './prefetch-queue.ts';
import type { Replicator } from './replicator.ts';

/** Blocks brought whole at once for read-ahead. */
const READ_AHEAD_WORKERS = 16;
const READ_AHEAD_QUEUE_MAX = 256;
/** Blocks of which one small part was read lately; the second part brings the block. */
const TOUCHED_BLOCKS_MAX = 8_192;

/** What a {@link MeshLoader} works with. */
export interface MeshLoaderParts {
  readonly memory: MemoryTier;
  readonly local: LocalBlocks;
  readonly route: BlockRoute;
  /** Undefined outside a cache group. */
  readonly replicator?: Replicator | undefined;
  /** Whether the origin can give parts of a block. */
  readonly rangeable: boolean;
  /** Memory kept for cached blocks is more than nothing. */
  readonly keepInMemory: boolean;
  /** Background loads of whole blocks after small reads, at once (`--prefetch`). */
  readonly prefetchWorkers: number;
  readonly clock: Clock;
  readonly metrics: LoadMetrics;
  readonly logger: Logger;
}

/** Flights are given this long to end when the daemon stops. */
const STOP_TIMEOUT_MS = 5_000;

/**
 * The load path: local memory, a flight that is under way, local disk, then the route (owners, other
 * holders, origin). One flight per block, and another one when a peer asks for a block that we are
 * getting from a peer ourselves and must not wait for it: see {@link FlightLevel}.
 *
 * Kept: what this node keeps for the group goes to memory and disk; what others keep goes to memory
 * only, so that the disks of a group add up.
 */
export class MeshLoader implements BlockLoader, CachedFiles {
  readonly #parts: MeshLoaderParts;
  readonly #flights: Flights;
  readonly #touched = new RecentMap<BlockId, true>(TOUCHED_BLOCKS_MAX);
  readonly #readAhead: PrefetchQueue;
  readonly #prefetch: PrefetchQueue;
  readonly #gathering: Gathering;
  readonly #stopping = new AbortController();

  constructor(parts: MeshLoaderParts) {
    this.#parts = parts;
    this.#flights = new Flights(parts, this.#stopping.signal);
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
    this.#gathering = new Gathering({
      ...parts,
      flights: this.#flights,
      bring: (key) => this.#bringWhole(key),
      isCached: (key) => this.lease(key) !== undefined,
      isAtHand: (key) => this.isAtHand(key),
    });
  }

  async start(): Promise<void> {}

  /** Ends all flights; what readers hold stays valid until they release it. */
  async stop(): Promise<void> {
    this.#readAhead.clear();
    this.#prefetch.clear();
    this.#parts.replicator?.stop();
    const reason = new BlockReadError('failed', 'the daemon is stopping');
    this.#stopping.abort(reason);
    const gathered = this.#gathering.stop(reason);
    const landed = this.#flights.stop(reason);
    await Promise.race([
      Promise.allSettled([gathered, landed]),
      sleep(this.#parts.clock, STOP_TIMEOUT_MS),
    ]);
  }

  read(
    key: BlockKey,
    range: ByteRange,
    options: { whole: boolean; signal: AbortSignal },
  ): Promise<BlockBytes> {
    return this.load(key, range, { ...options, asker: 'reader' });
  }

  /** {@link BlockLoader.read} for readers and for peers. */
  async load(key: BlockKey, range: ByteRange, options: LoadOptions): Promise<BlockBytes> {
    // Not after the look: what has come to the disk meanwhile can be had from there.
    const diskFailed = this.#parts.local.has(blockIdOf(key));
    const bytes =
      (await this.#atHand(key, range, options)) ??
      (await this.#fromDiskOrBeyond(key, range, { ...options, diskFailed }));
    this.#parts.metrics.read(bytes.from, range.length);
    return bytes;
  }

  /**
   * Brings a whole block to stay here, as its owner does for the group.
   *
   * @returns the flight that brings it, new or under way; undefined when there is no room yet, or
   *   the block has landed meanwhile
   */
  bring(key: BlockKey, signal: AbortSignal, holder?: NodeId): Promise<BlockFlight | undefined> {
    return this.#flights.bring(key, { whole: true, asker: 'final', holder, signal });
  }

  /** Ends the flight that {@link bring} began, unless somebody else reads from it. */
  abandon(key: BlockKey): void {
    this.#flights.abandon(key);
  }

  prefetch(key: BlockKey, done: () => void = () => undefined): void {
    const id = blockIdOf(key);
    if (this.lease(key) !== undefined) {
      done();
      return;
    }
    this.#readAhead.add(id, () => this.#bringWhole(key), done);
  }

  gather(keys: readonly BlockKey[], done: (key: BlockKey) => void): void {
    this.#gathering.gather(keys, done);
  }

  lease(key: BlockKey): LeaseRef | undefined {
    return this.#parts.local.lease(blockIdOf(key));
  }

  isCurrent(lease: LeaseRef): boolean {
    return this.#parts.local.isCurrent(lease);
  }

  cachedFile(key: BlockKey): CachedFile | undefined {
    return this.#parts.local.cachedFile(blockIdOf(key));
  }

  /** Whether a read would be answered from here. */
  isAtHand(key: BlockKey): boolean {
    const id = blockIdOf(key);
    const { local, route } = this.#parts;
    const isHere = local.has(id) || route.isStaged(id);
    return isHere || this.#flights.book.find(id, LEVELS) !== undefined;
  }

  /**
   * Bytes of a block if this node has it, or is just getting it from the origin.
   *
   * @returns undefined when it does not
   */
  async held(
    key: BlockKey,
    range: ByteRange,
    signal: AbortSignal,
  ): Promise<BlockBytes | undefined> {
    const { local, metrics, route } = this.#parts;
    const id = blockIdOf(key);
    const atHand = () =>
      local.fromMemory(id, range) ?? this.#flights.book.findAtOrigin(id)?.read(range, signal);
    let bytes = await atHand();
    bytes ??= await local.fromDiskInTime(id, range, signal);
    // It may have come while the disk was asked.
    bytes ??= await atHand();
    if (bytes === undefined && route.isStaged(id)) {
      return await this.load(key, range, { whole: true, asker: 'final', signal });
    }
    if (bytes !== undefined) metrics.read(bytes.from, range.length);
    return bytes;
  }

  async #atHand(key: BlockKey, range: ByteRange, options: LoadOptions) {
    const { local, metrics } = this.#parts;
    const id = blockIdOf(key);
    const inMemory = local.fromMemory(id, range);
    if (inMemory !== undefined) return inMemory;
    const flight = this.#flights.book.find(id, JOINED[options.asker]);
    if (flight === undefined) return undefined;
    metrics.event('joined');
    return flight.read(range, options.signal);
  }

  #fromDiskOrBeyond(key: BlockKey, range: ByteRange, miss: Miss): Promise<BlockBytes> {
    return this.#parts.local.fromDiskOr(blockIdOf(key), range, miss.signal, (signal) =>
      this.#beyond(key, range, { ...miss, signal }),
    );
  }

  #beyond(key: BlockKey, range: ByteRange, options: Miss): Promise<BlockBytes> {
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
    const { route, memory } = this.#parts;
    // New buffers of this size would have the collector mark the whole heap again and again.
    const room = memory.reserve(range.length);
    const into = room?.bytes ?? Buffer.allocUnsafe(range.length);
    let from: FilledFrom = 'origin';
    try {
      await route.fill(route.plan(key, options.asker), {
        key,
        range,
        into,
        signal: options.signal,
        onSource: (source) => {
          from = source;
        },
        onProgress: () => undefined,
      });
    } catch (error) {
      room?.abandon();
      throw error;
    }
    return { bytes: into, from, release: () => room?.abandon() };
  }

  async #bringAndRead(key: BlockKey, range: ByteRange, options: Miss): Promise<BlockBytes> {
    const { local, metrics } = this.#parts;
    const id = blockIdOf(key);
    const flight = await this.#flights.bring(key, options);
    if (flight !== undefined && !flight.isOver) return flight.read(range, options.signal);
    // While this read waited for the disk, for room or for its turn the block may have landed.
    const landed = local.fromMemory(id, range) ?? (await this.#newOnDisk(id, range, options));
    if (landed !== undefined) return landed;
    metrics.event('uncached');
    return this.#bringUncached(key, range, options);
  }

  async #newOnDisk(id: BlockId, range: ByteRange, { diskFailed, signal }: Miss) {
    if (diskFailed === true) return undefined;
    return this.#parts.local.fromDiskInTime(id, range, signal);
  }

  async #bringWhole(key: BlockKey): Promise<void> {
    const signal = this.#stopping.signal;
    const range = { offset: 0, length: key.sizeBytes };
    const options: LoadOptions = { whole: true, asker: 'reader', signal };
    try {
      const id = blockIdOf(key);
      const { memory, local } = this.#parts;
      if (memory.has(id) || (await local.isOnDisk(id, signal))) return;
      const flight =
        this.#flights.book.find(id, LEVELS) ?? (await this.#flights.bring(key, options));
      if (flight === undefined || flight.isOver) return;
      (await flight.read(range, signal)).release();
    } catch (error) {
      this.#parts.logger.debug(
        { block: blockIdOf(key), error: String(error) },
        'read-ahead failed',
      );
    }
  }
}
