import { join } from 'node:path';
import type { BlockId } from '../block/block-key.ts';
import { encodeTrailer, unitChecksums } from '../block/checksum.ts';
import { CHECKSUM_UNIT_BYTES } from '../block/geometry.ts';
import type { Clock } from '../runtime/clock.ts';
import { DeadlineError } from '../runtime/deadline.ts';
import type { Random } from '../runtime/random.ts';
import { systemCode } from './cache-error.ts';
import type { CacheDisk } from './cache-disk.ts';
import { folderOf, hasSumsFile, sumsTextOf } from './cache-layout.ts';
import type { DiskBlocks } from './disk-blocks.ts';
import { DiskEntry, roomOf } from './disk-entry.ts';
import type { DiskIndex } from './disk-index.ts';
import { type DiskIo, PIECE_BYTES } from './disk-io.ts';
import { encodeSumsFile } from './open-files.ts';
import type { TierMetrics } from './tier-metrics.ts';

/** Blocks that are written to one disk at once. */
const WRITERS_PER_DISK = 4;
/** The free space is looked at after so many written bytes, besides the periodic look. */
const LOOK_AFTER_BYTES = 64 * 1024 * 1024;
/** A disk that is full although it should not be gives up so many times the block's size. */
const FULL_EVICT_FACTOR = 8;

const NO_SPACE = new Set(['ENOSPC', 'EDQUOT']);

/** What a {@link DiskWriter} is made of. */
export interface DiskWriterOptions {
  readonly index: DiskIndex;
  readonly blocks: DiskBlocks;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: TierMetrics;
  readonly fileMode: number;
  /** Bytes that may wait to be written or be under way, all disks together. */
  readonly queueBytesMax: number;
  /** A block that takes longer counts as an error of its disk, and is no longer waited for. */
  readonly timeoutMs: number;
}

interface Job {
  readonly id: BlockId;
  readonly bytes: Uint8Array;
  readonly disk: CacheDisk;
  readonly done: () => void;
}

/** Writes blocks in the background, a bounded number of bytes at a time; what is too much is dropped. */
export class DiskWriter {
  readonly #options: DiskWriterOptions;
  readonly #queues = new Map<CacheDisk, Job[]>();
  readonly #running = new Map<CacheDisk, number>();
  readonly #jobs = new Map<BlockId, Job>();
  /** Resolved when {@link #waitedFor} is empty. */
  readonly #flushWaiters: (() => void)[] = [];
  readonly #waitedFor = new Set<Job>();
  readonly #tempPrefix: string;
  #tempNumber = 0;
  #queuedBytes = 0;
  #writtenSinceLook = 0;

  constructor(options: DiskWriterOptions) {
    this.#options = options;
    // Another daemon may use the same directory.
    this.#tempPrefix = Buffer.from(options.random.bytes(8)).toString('hex');
  }

  /** Whether the block is waiting or being written. */
  has(id: BlockId): boolean {
    return this.#jobs.has(id);
  }

  /** @returns false when the block is dropped: `done` is then not called */
  put(job: Job): boolean {
    const { queueBytesMax } = this.#options;
    if (this.#queuedBytes + job.bytes.byteLength > queueBytesMax || job.disk.isFull) return false;
    this.#queuedBytes += job.bytes.byteLength;
    this.#jobs.set(job.id, job);
    this.#waitedFor.add(job);
    const queue = this.#queues.get(job.disk) ?? [];
    this.#queues.set(job.disk, queue);
    queue.push(job);
    this.#next(job.disk);
    return true;
  }

  /** Resolves when everything put so far is written, dropped or hopeless. */
  flushed(): Promise<void> {
    if (this.#waitedFor.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#flushWaiters.push(resolve);
    });
  }

  #next(disk: CacheDisk): void {
    const running = this.#running.get(disk) ?? 0;
    if (running >= WRITERS_PER_DISK) return;
    const job = this.#queues.get(disk)?.shift();
    if (job === undefined) return;
    this.#running.set(disk, running + 1);
    void this.#run(job);
  }

  async #run(job: Job): Promise<void> {
    const { disk } = job;
    const { clock, timeoutMs } = this.#options;
    const timer = clock.setTimer(timeoutMs, () => {
      disk.failed(new DeadlineError('deadline', `no end within ${timeoutMs} ms`), 'write');
      this.#settle(job);
      if (disk.isDown) this.#dropQueue(disk);
    });
    const isWritten = disk.isDown ? false : await this.#store(job);
    timer.cancel();
    this.#end(job, isWritten);
    this.#running.set(disk, (this.#running.get(disk) ?? 1) - 1);
    this.#next(disk);
  }

  /** The block's memory is no longer needed. */
  #end(job: Job, isWritten: boolean): void {
    if (!isWritten) this.#options.metrics.drops.add();
    this.#queuedBytes -= job.bytes.byteLength;
    this.#jobs.delete(job.id);
    job.done();
    this.#settle(job);
  }

  /**
   * Lets go of what waits for a disk that went out of use: its writers may hang for ever, and the
   * queued blocks would hold memory and the other disks' share of the queue as long.
   */
  #dropQueue(disk: CacheDisk): void {
    for (const job of this.#queues.get(disk)?.splice(0) ?? []) this.#end(job, false);
  }

  #settle(job: Job): void {
    this.#waitedFor.delete(job);
    if (this.#waitedFor.size > 0) return;
    for (const resolve of this.#flushWaiters.splice(0)) resolve();
  }

  /** @returns whether the block is on the disk now. Never rejects. */
  async #store(job: Job): Promise<boolean> {
    const { disk, bytes } = job;
    const room = roomOf(bytes.byteLength);
    if (!this.#options.blocks.makeRoom(disk, room)) return false;
    disk.usedBytes += room;
    try {
      await this.#lookAtFreeSpace(disk, room);
      if (disk.isFull || disk.isDown) return false;
      await this.#writeOrEvict(job);
    } catch (error) {
      disk.failed(error, 'write');
      return false;
    } finally {
      disk.usedBytes -= room;
    }
    return true;
  }

  async #lookAtFreeSpace(disk: CacheDisk, bytes: number): Promise<void> {
    this.#writtenSinceLook += bytes;
    if (this.#writtenSinceLook < LOOK_AFTER_BYTES) return;
    this.#writtenSinceLook = 0;
    await this.#options.blocks.keepFree(disk);
  }

  async #writeOrEvict(job: Job): Promise<void> {
    const { blocks } = this.#options;
    try {
      await this.#write(job);
    } catch (error) {
      if (!NO_SPACE.has(systemCode(error) ?? '')) throw error;
      blocks.evict(job.disk, FULL_EVICT_FACTOR * roomOf(job.bytes.byteLength));
      await blocks.removed();
      await this.#write(job);
    }
  }

  async #write(job: Job): Promise<void> {
    const { id, disk, bytes } = job;
    const { index, metrics } = this.#options;
    const sums = new Uint32Array(Math.ceil(bytes.byteLength / CHECKSUM_UNIT_BYTES));
    const temp = this.#tempPath(disk);
    await this.#writeTemp(disk, { path: temp, bytes, sums });
    const sumsText = sumsTextOf(sums);
    if (hasSumsFile(bytes.byteLength)) {
      const sumsTemp = this.#tempPath(disk);
      const file = encodeSumsFile(encodeTrailer(sums));
      await this.#writeTemp(disk, { path: sumsTemp, bytes: file, sums: undefined });
      await this.#moveIn(job, sumsTemp, disk.paths.sums(id));
    }
    await this.#moveIn(job, temp, disk.paths.block(id, sumsText));
    metrics.writes.add();
    metrics.writeBytes.add(bytes.byteLength);
    const entry = new DiskEntry({ id, disk, blockBytes: bytes.byteLength, sumsText });
    // A disk that went out of use meanwhile has left the index.
    if (!disk.isDown && index.get(id) === undefined) index.insert(entry);
  }

  /** Writes a file, and its checksums into `sums`. On failure nothing is left behind. */
  async #writeTemp(
    { io }: CacheDisk,
    file: { path: string; bytes: Uint8Array; sums: Uint32Array | undefined },
  ): Promise<void> {
    const { path, bytes, sums } = file;
    const { fileMode } = this.#options;
    const fd = await io.openFile(path, { flags: 'wx', mode: fileMode });
    try {
      try {
        for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
          const piece = bytes.subarray(at, at + PIECE_BYTES);
          const writing = io.writeAll(fd, piece, at);
          // One core checks this piece while another one writes it.
          sums?.set(unitChecksums(piece), at / CHECKSUM_UNIT_BYTES);
          await writing;
        }
      } finally {
        await io.close(fd);
      }
    } catch (error) {
      await this.#removeTemp(io, path);
      throw error;
    }
  }

  async #moveIn(job: Job, temp: string, path: string): Promise<void> {
    const { io } = job.disk;
    try {
      await io.rename(temp, path).catch(async (error: unknown) => {
        if (systemCode(error) !== 'ENOENT') throw error;
        await job.disk.makeFolder(folderOf(job.id));
        await io.rename(temp, path);
      });
    } catch (error) {
      await this.#removeTemp(io, temp);
      throw error;
    }
  }

  async #removeTemp(io: DiskIo, path: string): Promise<void> {
    // The error that led here is the one that counts; a file that stays is removed as a stray.
    await io.unlink(path).catch(() => undefined);
  }

  #tempPath(disk: CacheDisk): string {
    this.#tempNumber += 1;
    return join(disk.paths.temp, `${this.#tempPrefix}-${this.#tempNumber}`);
  }
}
