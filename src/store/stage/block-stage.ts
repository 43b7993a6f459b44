import assert from 'node:assert/strict';
import { type BlockId, type BlockKey, blockIdOf } from '../../block/block-key.ts';
import type { ByteRange } from '../../block/byte-range.ts';
import type { Clock } from '../../runtime/clock.ts';
import { abortReason, withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import { LogThrottle } from '../../runtime/log-throttle.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { Semaphore } from '../../runtime/semaphore.ts';
import { systemCode } from '../cache-error.ts';
import { hashText } from '../block-hash.ts';
import type { StageDisk } from './stage-disk.ts';
import { type StageMetrics, stageMetrics } from './stage-metrics.ts';
import { scanStage } from './stage-scan.ts';

/** Blocks that are written to one disk at once; each takes a thread of Node's pool of four. */
const WRITES_AT_ONCE = 4;
const LOG_EVERY_MS = 10_000;

/** A block that lies on a disk and waits to be uploaded. */
export interface StagedBlock {
  readonly id: BlockId;
  readonly key: BlockKey;
  readonly disk: StageDisk;
  /** Wall clock. */
  readonly stagedAtMs: number;
  /** Nobody needs it any more: it is neither here nor to be in the object store. */
  isDropped: boolean;
}

/** What a {@link BlockStage} is made of. */
export interface BlockStageOptions {
  readonly disks: readonly StageDisk[];
  /**
   * Blocks below this size are staged (`--writeback-threshold-size`); undefined: all. 0: none, only
   * what earlier daemons have left is looked for.
   */
  readonly belowBytes: number | undefined;
  /** Blocks that are staged at once, or wait for that (`--max-stage-write`). */
  readonly writesMax: number;
  /** A block that is not staged within this is uploaded directly. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * New blocks on the cache disks, where they are safe until they are uploaded (`--writeback`). They are
 * no part of the cache: nothing evicts them.
 */
export class BlockStage {
  readonly metrics: StageMetrics;
  readonly #options: BlockStageOptions;
  readonly #disks: StageDisk[] = [];
  readonly #places = new Map<StageDisk, Semaphore>();
  readonly #blocks = new Map<BlockId, StagedBlock>();
  /** Those that cannot be uploaded: damaged, or vanished. */
  readonly #aside = new Map<BlockId, StagedBlock>();
  readonly #lines: LogThrottle;
  #bytes = 0;
  #writing = 0;
  #isEnded = false;
  #onStaged: (block: StagedBlock) => void = () => undefined;

  constructor(options: BlockStageOptions) {
    this.#options = options;
    this.metrics = stageMetrics(options.metrics);
    this.#lines = new LogThrottle(options.clock, LOG_EVERY_MS);
  }

  /** Finds what earlier daemons have left. A disk that cannot be used is left out. Never rejects. */
  async start(): Promise<void> {
    for (const disk of this.#options.disks) await this.#startDisk(disk);
  }

  /** Sets who is told of each block that is staged from now on. */
  onStaged(call: (block: StagedBlock) => void): void {
    this.#onStaged = call;
  }

  /** From now on no block is staged any more, so that those that wait become none. */
  end(): void {
    this.#isEnded = true;
  }

  /** Blocks that are being staged. */
  get writing(): number {
    return this.#writing;
  }

  /** Blocks that were given up since the start: their files are damaged or have vanished. */
  get aside(): number {
    return this.#aside.size;
  }

  /** How many blocks wait, and their bytes. */
  usage(): { readonly blocks: number; readonly bytes: number } {
    return { blocks: this.#blocks.size, bytes: this.#bytes };
  }

  /** Those that can be used. */
  get disks(): readonly StageDisk[] {
    return this.#disks;
  }

  /** All that wait, in the order in which they were staged or found. */
  waiting(): Iterable<StagedBlock> {
    return this.#blocks.values();
  }

  has(id: BlockId): boolean {
    return this.#blocks.has(id);
  }

  /**
   * Puts a block on a disk. When this resolves to true it survives the end of the process and a crash
   * of the machine.
   *
   * @returns false when it is not there and must be uploaded directly
   * @throws the signal's reason when aborted
   */
  async stage(key: BlockKey, plain: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const { belowBytes, clock } = this.#options;
    if (this.#isEnded || key.sizeBytes >= (belowBytes ?? Number.POSITIVE_INFINITY)) return false;
    this.#count(1);
    let disk: StageDisk | undefined;
    try {
      disk = await this.#keep(key, plain, signal);
    } finally {
      this.#count(-1);
    }
    if (disk === undefined) return false;
    this.metrics.writeBytes.add(key.sizeBytes);
    const block = this.#enter(disk, key, clock.wallMs());
    if (block !== undefined) this.#onStaged(block);
    return true;
  }

  /**
   * Reads a range of a staged block, checked.
   *
   * @returns false when it is not staged any more
   * @throws CacheError (`damaged`), the system's error, the signal's reason when aborted
   */
  async read(
    key: BlockKey,
    range: ByteRange,
    into: Uint8Array,
    signal: AbortSignal,
  ): Promise<boolean> {
    const block = this.#blocks.get(blockIdOf(key));
    if (block === undefined) return false;
    try {
      await block.disk.read(key, range, into, signal);
      return true;
    } catch (error) {
      // Uploaded meanwhile, here or by another daemon that shares the directory.
      if (systemCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  /** A block is not needed here any more: it was uploaded, or nobody will ever read it. */
  async remove(id: BlockId): Promise<void> {
    const block = this.#blocks.get(id) ?? this.#aside.get(id);
    if (block === undefined) return;
    block.isDropped = true;
    this.#aside.delete(id);
    this.#leave(block);
    try {
      await block.disk.remove(block.key);
    } catch (error) {
      // The next daemon uploads it again, which changes nothing.
      const fields = { block: id, directory: block.disk.directory, error: String(error) };
      this.#options.logger.warn(fields, 'a staged block could not be removed');
    }
  }

  /** The block cannot be uploaded and does not wait any more; its file stays until it is removed. */
  setAside(block: StagedBlock): void {
    if (block.isDropped) return;
    this.#leave(block);
    this.#aside.set(block.id, block);
  }

  #leave(block: StagedBlock): void {
    if (!this.#blocks.delete(block.id)) return;
    this.#bytes -= block.key.sizeBytes;
    this.#gauge(block, -1);
  }

  async #startDisk(disk: StageDisk): Promise<void> {
    const { logger } = this.#options;
    const { directory } = disk;
    try {
      if (this.#options.belowBytes !== 0) await disk.prepare();
      const found = await scanStage(disk, this.#options);
      for (const { key, stagedAtMs } of found) this.#enter(disk, key, stagedAtMs);
      this.#disks.push(disk);
      this.#places.set(disk, new Semaphore(WRITES_AT_ONCE, this.#options.writesMax));
      if (found.length === 0) return;
      const message = 'blocks that wait to be uploaded were found in the cache directory';
      logger.info({ directory, blocks: found.length }, message);
    } catch (error) {
      this.metrics.errors.add();
      const message =
        'no blocks are staged in this cache directory; what it has of them stays there';
      logger.error({ directory, error: String(error) }, message);
    }
  }

  /** @returns the disk that keeps the block now; undefined when none does */
  async #keep(
    key: BlockKey,
    plain: Uint8Array,
    signal: AbortSignal,
  ): Promise<StageDisk | undefined> {
    const { writesMax, clock, logger, timeoutMs } = this.#options;
    const disk = this.#writing <= writesMax ? await this.#diskFor(key) : undefined;
    if (disk === undefined) {
      this.#noteDirect();
      return undefined;
    }
    try {
      const wait = { what: `staging block ${blockIdOf(key)}`, timeoutMs, signal };
      await withDeadline(clock, wait, (timed) => this.#write(disk, key, plain, timed));
      return disk;
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      this.metrics.errors.add();
      disk.rest();
      const fields = { block: blockIdOf(key), directory: disk.directory, error: String(error) };
      logger.warn(fields, 'a block could not be staged and is uploaded directly');
      return undefined;
    }
  }

  #noteDirect(): void {
    this.metrics.direct.add();
    const leftOut = this.#lines.admit('direct');
    const message = 'no disk takes blocks to be staged now, they are uploaded directly';
    if (leftOut !== undefined) this.#options.logger.warn({ leftOut }, message);
  }

  async #write(
    disk: StageDisk,
    key: BlockKey,
    plain: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const places = this.#places.get(disk);
    assert(places !== undefined);
    await places.run(() => disk.write(key, plain, signal), signal);
  }

  /** A disk with room that works, the same for the same block as long as none fails. */
  async #diskFor(key: BlockKey): Promise<StageDisk | undefined> {
    const usable = this.#disks.filter(({ isResting }) => !isResting);
    const from = hashText(blockIdOf(key));
    for (let turn = 0; turn < usable.length; turn += 1) {
      const disk = usable[(from + turn) % usable.length] as StageDisk;
      try {
        if ((await disk.room()) !== 'none') return disk;
      } catch (error) {
        this.metrics.errors.add();
        disk.rest();
        const fields = { directory: disk.directory, error: String(error) };
        this.#options.logger.warn(fields, 'the free space for staged blocks is not known');
      }
    }
    return undefined;
  }

  /** @returns undefined when the block waits already */
  #enter(disk: StageDisk, key: BlockKey, stagedAtMs: number): StagedBlock | undefined {
    const id = blockIdOf(key);
    const block: StagedBlock = { id, key, disk, stagedAtMs, isDropped: false };
    // Two directories may have it, from before and after one was added: one copy is enough.
    if (this.#blocks.has(id)) return undefined;
    this.#blocks.set(id, block);
    this.#bytes += key.sizeBytes;
    this.#gauge(block, 1);
    return block;
  }

  #gauge(block: StagedBlock, sign: 1 | -1): void {
    this.metrics.blocks.add(sign);
    this.metrics.bytes.add(sign * block.key.sizeBytes);
  }

  #count(change: 1 | -1): void {
    this.#writing += change;
    this.metrics.writing.add(change);
  }
}
