import type { BlockId } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { Clock } from '../runtime/clock.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { LeaseRef, LeaseTable } from '../runtime/lease-table.ts';
import type { Logger } from '../runtime/logger.ts';
import { RecentMap } from '../runtime/recent-map.ts';
import type { DiskTier, FileStanding, HeldBlock, HeldFile, MemoryTier } from '../store/tier.ts';
import { type DiskRace, isInTime, raceDisk, release } from './disk-race.ts';
import type { LoadMetrics } from './load-metrics.ts';
import type { BlockBytes, CachedFile } from './loader.ts';

/** A local disk that does not answer for this long is passed over. */
const DISK_TIMEOUT_MS = 5_000;
const DISK_LEASES_MAX = 65_536;
/** Cache files that are opened at once because somebody asked for them. */
const LOOKS_MAX = 32;

/** How a block's cache file is read without us. */
interface DiskLease {
  readonly lease: LeaseRef;
  readonly standing: FileStanding;
}

/** What {@link LocalBlocks} works with. */
export interface LocalBlocksParts {
  readonly memory: MemoryTier;
  /** Undefined without a cache directory. */
  readonly disk: DiskTier | undefined;
  readonly leases: LeaseTable;
  readonly clock: Clock;
  readonly metrics: LoadMetrics;
  readonly logger: Logger;
}

/** This node's own tiers as one. */
export class LocalBlocks {
  readonly #parts: LocalBlocksParts;
  readonly #diskLeases = new RecentMap<BlockId, DiskLease>(DISK_LEASES_MAX);
  readonly #looking = new Set<BlockId>();

  constructor(parts: LocalBlocksParts) {
    this.#parts = parts;
  }

  /** Whether the block is in one of the tiers, as far as can be said without looking at the disk. */
  has(id: BlockId): boolean {
    return this.#parts.memory.has(id) || this.#parts.disk?.has(id) === true;
  }

  /** Lets worker threads read the block. */
  lease(id: BlockId): LeaseRef | undefined {
    return this.#parts.memory.lease(id) ?? this.#diskLease(id)?.lease;
  }

  /** @see CachedFiles.cachedFile */
  cachedFile(id: BlockId): CachedFile | undefined {
    const found = this.#diskLease(id);
    if (found === undefined) {
      this.#look(id);
      return undefined;
    }
    const { lease, standing } = found;
    const { leases } = this.#parts;
    const fd = leases.location(lease.slot);
    return standing.isGood
      ? { fd, lengthBytes: leases.lengthBytes(lease.slot), standing }
      : undefined;
  }

  /** Whether a block that was leased is still where it was. */
  isCurrent(lease: LeaseRef): boolean {
    return this.#parts.leases.isCurrent(lease);
  }

  /** Bytes of a block in memory. */
  fromMemory(id: BlockId, range: ByteRange): BlockBytes | undefined {
    const held = this.#parts.memory.get(id);
    if (held === undefined) return undefined;
    const bytes = held.bytes.subarray(range.offset, range.offset + range.length);
    return { bytes, from: 'memory', release: () => held.release() };
  }

  /** Bytes of a block on disk; a disk that fails or is too slow does not have it. */
  async fromDisk(
    id: BlockId,
    range: ByteRange,
    signal: AbortSignal,
  ): Promise<BlockBytes | undefined> {
    const { disk, clock, metrics, logger } = this.#parts;
    if (disk === undefined) return undefined;
    const wait = { what: `cached block ${id}`, timeoutMs: DISK_TIMEOUT_MS, signal };
    try {
      return await withDeadline(clock, wait, async (timed) => {
        const file = await disk.open(id, timed, 'read');
        return file === undefined ? undefined : await this.#readFile(id, file, range, timed);
      });
    } catch (error) {
      if (signal.aborted) throw error;
      metrics.event('disk-slow');
      logger.warn({ block: id, error: String(error) }, 'a cached block could not be read');
      return undefined;
    }
  }

  /** {@link fromDisk}, or the bytes from elsewhere when the disk does not have them or is late. */
  async fromDiskOr(
    id: BlockId,
    range: ByteRange,
    signal: AbortSignal,
    beyond: DiskRace['beyond'],
  ): Promise<BlockBytes> {
    const { disk: tier, clock } = this.#parts;
    if (tier === undefined) return await beyond(signal);
    const lateMs = this.#lateMs(id);
    const onLate = () => this.#onLate(id, lateMs);
    const disk = this.fromDisk(id, range, signal);
    return await raceDisk(disk, { clock, lateMs, signal, onLate, beyond });
  }

  /** {@link fromDisk}; a disk that is late does not have the bytes. */
  async fromDiskInTime(
    id: BlockId,
    range: ByteRange,
    signal: AbortSignal,
  ): Promise<BlockBytes | undefined> {
    if (this.#parts.disk === undefined) return undefined;
    const lateMs = this.#lateMs(id);
    // Not ended when it is late: how long it took is to be known.
    const disk = this.fromDisk(id, range, signal);
    if (await isInTime(disk, { clock: this.#parts.clock, lateMs })) return await disk;
    this.#onLate(id, lateMs);
    release(disk);
    return undefined;
  }

  /** Also leaves the block's lease, by which worker threads read the cache file. */
  async isOnDisk(id: BlockId, signal: AbortSignal): Promise<boolean> {
    const { disk, clock } = this.#parts;
    if (disk?.has(id) !== true) return false;
    const wait = { what: `cached block ${id}`, timeoutMs: DISK_TIMEOUT_MS, signal };
    return withDeadline(clock, wait, async (timed) => {
      // Released in here: a file that comes after the deadline must not stay held.
      const file = await disk.open(id, timed);
      if (file !== undefined) this.#noteLease(id, file);
      file?.release();
      return file !== undefined;
    });
  }

  /**
   * Takes over a block that has just landed in memory.
   *
   * @param options - `onDisk`: keep it there, too; `done`: called when the tiers have done with it
   */
  keep(id: BlockId, held: HeldBlock, options: { onDisk: boolean; done: () => void }): void {
    const { disk } = this.#parts;
    const leave = () => {
      held.release();
      options.done();
    };
    if (disk !== undefined && options.onDisk) disk.put(id, held.bytes, leave);
    else leave();
  }

  #diskLease(id: BlockId): DiskLease | undefined {
    const found = this.#diskLeases.get(id);
    if (found === undefined || this.#parts.leases.isCurrent(found.lease)) return found;
    // The file was closed or evicted: with its old lease the block would never be read ahead again.
    this.#diskLeases.delete(id);
    return undefined;
  }

  #noteLease(id: BlockId, { lease, standing }: HeldFile): void {
    if (lease !== undefined) this.#diskLeases.set(id, { lease, standing });
  }

  /** Opens a block's cache file, so that the next who asks for it finds it. */
  #look(id: BlockId): void {
    const { disk, logger } = this.#parts;
    if (disk?.has(id) !== true || this.#looking.has(id) || this.#looking.size >= LOOKS_MAX) return;
    this.#looking.add(id);
    this.isOnDisk(id, new AbortController().signal)
      .catch((error: unknown) => {
        logger.debug({ block: id, error: String(error) }, 'a cache file could not be opened');
      })
      .finally(() => this.#looking.delete(id));
  }

  #lateMs(id: BlockId): number {
    return this.#parts.disk?.lateMs(id) ?? Number.POSITIVE_INFINITY;
  }

  #onLate(id: BlockId, lateMs: number): void {
    const { metrics, logger } = this.#parts;
    metrics.event('disk-late');
    logger.debug({ block: id, lateMs }, 'a cached block is late: it is looked for elsewhere, too');
  }

  async #readFile(
    id: BlockId,
    file: HeldFile,
    range: ByteRange,
    signal: AbortSignal,
  ): Promise<BlockBytes> {
    try {
      const bytes = Buffer.allocUnsafe(range.length);
      await file.read(range, bytes, signal);
      // Not before: the read may have checked the block.
      this.#noteLease(id, file);
      return { bytes, from: 'disk', release: () => undefined };
    } finally {
      file.release();
    }
  }
}
