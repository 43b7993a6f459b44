import assert from 'node:assert/strict';
import type { BlockId } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { abortReason, withDeadline } from '../runtime/deadline.ts';
import type { LeaseTable } from '../runtime/lease-table.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import { CacheDisk } from './cache-disk.ts';
import { CacheError, isOwnShortage, systemCode } from './cache-error.ts';
import type { CacheFile, UnitCheck } from './cache-file.ts';
import type { CacheName } from './cache-layout.ts';
import type { ChecksumMode } from './checksum-mode.ts';
import { DiskBlocks } from './disk-blocks.ts';
import { DiskEntry } from './disk-entry.ts';
import { DiskIndex } from './disk-index.ts';
import { DiskIo, PIECE_BYTES } from './disk-io.ts';
import { DiskScan } from './disk-scan.ts';
import { DiskVerifier } from './disk-verifier.ts';
import { DiskWriter } from './disk-writer.ts';
import type { EvictionName } from './eviction/create-policy.ts';
import { OpenFiles } from './open-files.ts';
import type { SlotRange } from './slot-range.ts';
import type { TierMetrics } from './tier-metrics.ts';
import { tierMetrics } from './tier-metrics.ts';
import type { DiskTier, HeldFile, TierUsage } from './tier.ts';

/** How often the free space of the file systems is looked at. */
const LOOK_EVERY_MS = 1000;
/** How long {@link DirectoryDiskTier.stop} waits for blocks that are still to be written. */
const STOP_MS = 10_000;

/** What a {@link DirectoryDiskTier} is made of. */
export interface DiskTierOptions {
  /** `--cache-dir`, taken apart. None at all is a tier that holds nothing. */
  readonly directories: readonly string[];
  /** Names the volume's own subtree in each directory. */
  readonly volumeUuid: string;
  /** `--cache-size`: bytes of all directories together, spread evenly. */
  readonly cacheBytes: number;
  /** `--free-space-ratio`: share of each file system that stays free, 0 … 1. */
  readonly freeSpaceRatio: number;
  /** `--cache-mode`, e.g. 0o600. */
  readonly fileMode: number;
  readonly checksums: ChecksumMode;
  readonly eviction: EvictionName;
  /** Bytes that may wait to be written; they stay in memory until then. */
  readonly queueBytesMax: number;
  /** Files that are kept open, e.g. 4096; at least as many slots should be given. */
  readonly openFilesMax: number;
  /** Deadline of each single file call, e.g. 30 000. */
  readonly ioTimeoutMs: number;
  readonly leases: LeaseTable;
  /** Slots of `leases` for this tier alone, one for each file that workers may read. */
  readonly slots: SlotRange;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Blocks in files of one or more directories, which are found again after a restart. */
export class DirectoryDiskTier implements DiskTier {
  readonly #options: DiskTierOptions;
  readonly #metrics: TierMetrics;
  readonly #io: DiskIo;
  readonly #disks: readonly CacheDisk[];
  readonly #scans = new Map<CacheDisk, DiskScan>();
  readonly #index: DiskIndex;
  readonly #files: OpenFiles;
  readonly #blocks: DiskBlocks;
  readonly #writer: DiskWriter;
  readonly #verifier: DiskVerifier;
  readonly #stopping = new AbortController();
  #scanning: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined = undefined;

  constructor(options: DiskTierOptions) {
    const { clock, random, log, checksums, eviction, leases, slots } = options;
    this.#options = options;
    this.#metrics = tierMetrics(options.metrics);
    this.#io = new DiskIo(clock, options.ioTimeoutMs);
    this.#disks = options.directories.map((directory) => this.#makeDisk(directory));
    this.#files = new OpenFiles({
      leases,
      slots,
      clock,
      log,
      io: this.#io,
      openFilesMax: Math.max(1, options.openFilesMax),
      checks: { reads: checksums !== 'none', always: checksums !== 'once' },
    });
    this.#index = new DiskIndex({
      disks: this.#disks,
      eviction,
      random,
      metrics: this.#metrics,
      takeVisited: (entry) => this.#files.takeVisited(entry),
    });
    const core = { index: this.#index, io: this.#io, metrics: this.#metrics };
    this.#blocks = new DiskBlocks({ ...core, files: this.#files, log });
    this.#writer = new DiskWriter({
      ...core,
      blocks: this.#blocks,
      clock,
      random,
      fileMode: options.fileMode,
      queueBytesMax: options.queueBytesMax,
      timeoutMs: options.ioTimeoutMs,
    });
    this.#verifier = new DiskVerifier({
      files: this.#files,
      signal: this.#stopping.signal,
      onBad: (file, error) => this.#failed(file.entry, error),
    });
  }

  async start(): Promise<void> {
    await Promise.all(this.#disks.map((disk) => this.#startDisk(disk)));
    this.#scanning = Promise.all(this.#usable().map((disk) => this.#scanDisk(disk)));
    this.#lookLater();
  }

  async stop(): Promise<void> {
    const { clock, log } = this.#options;
    this.#stopping.abort(new CacheError('closed', 'the disk cache stops'));
    this.#timer?.cancel();
    const rest = async () => {
      await this.#writer.flushed();
      await this.#scanning;
      await this.#blocks.removed();
    };
    await withDeadline(clock, { what: 'disk cache', timeoutMs: STOP_MS }, rest).catch(
      (error: unknown) => log.warn({ err: error }, 'the disk cache stops with work undone'),
    );
    this.#files.closeAll();
    this.#metrics.blocks.add(-this.#index.blocks);
    this.#metrics.bytes.add(-this.#index.bytes);
  }

  async open(id: BlockId, signal: AbortSignal): Promise<HeldFile | undefined> {
    if (signal.aborted) throw abortReason(signal);
    const entry = this.#index.get(id) ?? (await this.#find(id, signal));
    const held = entry === undefined ? undefined : await this.#openEntry(entry, signal);
    if (held === undefined) this.#metrics.misses.add();
    else this.#metrics.hits.add();
    return held;
  }

  has(id: BlockId): boolean {
    return this.#index.get(id) !== undefined;
  }

  put(id: BlockId, bytes: Uint8Array, done: () => void): void {
    if (this.has(id) || this.#writer.has(id)) {
      done();
      return;
    }
    const disk = this.#ownerOf(id);
    const isOpen = disk !== undefined && !this.#stopping.signal.aborted;
    if (isOpen && this.#writer.put({ id, bytes, disk, done })) return;
    this.#metrics.drops.add();
    done();
  }

  delete(id: BlockId): void {
    const entry = this.#index.get(id);
    if (entry !== undefined) this.#blocks.drop(entry, 'deleted');
    else void this.#deleteUnknown(id);
  }

  flushed(): Promise<void> {
    return this.#writer.flushed();
  }

  /** Resolves when everything that lay in the directories at the start is in the index. */
  async scanned(): Promise<void> {
    await this.#scanning;
  }

  usage(): TierUsage {
    return {
      blocks: this.#index.blocks,
      usedBytes: this.#index.bytes,
      capacityBytes: this.#usable().reduce((sum, disk) => sum + disk.capacityBytes, 0),
    };
  }

  #makeDisk(directory: string): CacheDisk {
    const { directories, cacheBytes, volumeUuid, freeSpaceRatio, fileMode } = this.#options;
    const { clock, random, log } = this.#options;
    return new CacheDisk({
      directory,
      volumeUuid,
      capacityBytes: Math.floor(cacheBytes / directories.length),
      freeSpaceRatio,
      fileMode,
      io: this.#io,
      clock,
      random,
      log,
      metrics: this.#metrics,
    });
  }

  async #startDisk(disk: CacheDisk): Promise<void> {
    disk.onDown(() => this.#forgetDisk(disk));
    const events = {
      found: (name: CacheName) => this.#found(disk, name),
      incomplete: (name: CacheName) => this.#foundIncomplete(disk, name),
    };
    const { clock } = this.#options;
    this.#scans.set(disk, new DiskScan({ disk, io: this.#io, clock, events }));
    try {
      await disk.prepare();
      await this.#blocks.keepFree(disk);
    } catch (error) {
      disk.failed(error, 'preparation');
      disk.takeDown('it cannot be prepared');
    }
  }

  async #scanDisk(disk: CacheDisk): Promise<void> {
    await this.#scans.get(disk)?.all(this.#stopping.signal);
    const { log } = this.#options;
    log.info({ directory: disk.directory, usedBytes: disk.usedBytes }, 'cache directory scanned');
  }

  #found(disk: CacheDisk, name: CacheName): void {
    if (disk.isDown) return;
    const entry = entryOf(disk, name);
    const known = this.#index.get(name.id);
    if (known === undefined) {
      this.#index.insert(entry);
      this.#blocks.makeRoom(disk, 0);
    } else if (known.path !== entry.path) {
      this.#blocks.removeFiles(entry);
    }
  }

  #foundIncomplete(disk: CacheDisk, name: CacheName): void {
    if (this.#index.get(name.id) !== undefined || this.#writer.has(name.id)) return;
    this.#metrics.damaged.add();
    this.#blocks.removeFiles(entryOf(disk, name));
  }

  #forgetDisk(disk: CacheDisk): void {
    for (const entry of [...this.#index.entriesOf(disk)]) this.#blocks.drop(entry, 'lost');
  }

  #usable(): CacheDisk[] {
    return this.#disks.filter((disk) => !disk.isDown);
  }

  /** Rendezvous hashing: when a disk comes or goes, only its own blocks move. */
  #ownerOf(id: BlockId): CacheDisk | undefined {
    let owner: CacheDisk | undefined;
    for (const disk of this.#disks) {
      if (disk.isDown) continue;
      if (owner === undefined || disk.scoreOf(id) > owner.scoreOf(id)) owner = disk;
    }
    return owner;
  }

  /** Looks for a block that the scan did not come to yet. */
  async #find(id: BlockId, signal: AbortSignal): Promise<DiskEntry | undefined> {
    const disk = this.#ownerOf(id);
    if (disk === undefined || disk.knows(id)) return undefined;
    const { clock, ioTimeoutMs } = this.#options;
    const options = { what: `scan for ${id}`, timeoutMs: 2 * ioTimeoutMs, signal };
    try {
      await withDeadline(clock, options, async () => this.#scans.get(disk)?.around(id));
    } catch (error) {
      if (signal.aborted) throw error;
      return undefined;
    }
    return this.#index.get(id);
  }

  async #deleteUnknown(id: BlockId): Promise<void> {
    const disk = this.#ownerOf(id);
    if (disk === undefined || disk.knows(id)) return;
    await this.#scans.get(disk)?.around(id);
    const entry = this.#index.get(id);
    if (entry !== undefined) this.#blocks.drop(entry, 'deleted');
  }

  async #openEntry(entry: DiskEntry, signal: AbortSignal): Promise<HeldFile | undefined> {
    entry.visited = true;
    let file: CacheFile;
    try {
      file = await this.#files.acquire(entry, signal);
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      this.#failed(entry, error);
      return undefined;
    }
    try {
      await this.#admit(file, signal);
    } catch (error) {
      this.#files.release(file);
      if (signal.aborted) throw abortReason(signal);
      this.#failed(entry, error);
      return undefined;
    }
    if (!entry.isGone) return this.#hold(file);
    this.#files.release(file);
    return undefined;
  }

  /** What the mode wants done before a file is handed out. */
  async #admit(file: CacheFile, signal: AbortSignal): Promise<void> {
    const { checksums } = this.#options;
    if (checksums === 'full') {
      await file.verify(signal, true);
    } else if (checksums === 'none' || (checksums === 'once' && file.entry.isVerified)) {
      this.#files.publish(file);
    } else if (checksums === 'once') {
      if (this.#verifier.isBusy) return;
      const checking = this.#verifier.check(file);
      // A small block is checked in one step: the first reader may as well have the lease.
      if (file.entry.blockBytes <= PIECE_BYTES) await checking;
    }
  }

  #hold(file: CacheFile): HeldFile {
    let held = true;
    return {
      get lease() {
        return file.lease;
      },
      sizeBytes: file.entry.blockBytes,
      read: async (range, into, signal) => {
        assert(held, 'a released cache file is read');
        await this.#read(file, { range, into, signal });
      },
      release: () => {
        assert(held, 'a cache file is released once');
        held = false;
        this.#files.release(file);
      },
    };
  }

  async #read(
    file: CacheFile,
    to: { range: ByteRange; into: Uint8Array; signal: AbortSignal },
  ): Promise<void> {
    const { range, into, signal } = to;
    file.users += 1;
    try {
      await file.read(range, into, { check: this.#checkOf(file), signal });
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      this.#failed(file.entry, error);
      if (error instanceof CacheError) throw error;
      const message = `cache file ${file.entry.path} cannot be read`;
      throw new CacheError('unreadable', message, { cause: error });
    } finally {
      this.#files.release(file);
    }
    this.#metrics.hitBytes.add(range.length);
  }

  #checkOf(file: CacheFile): UnitCheck {
    switch (this.#options.checksums) {
      case 'once':
        return file.entry.isVerified ? 'none' : 'touched';
      case 'extend':
        return 'touched';
      case 'shrink':
        return 'covered';
      case 'full':
      case 'none':
        return 'none';
    }
  }

  /** A block could not be opened or read: it is dropped, and its disk blamed where it is to blame. */
  #failed(entry: DiskEntry, error: unknown): void {
    if (error instanceof CacheError) {
      this.#blocks.drop(entry, 'damaged');
      return;
    }
    // Another daemon on the same directory may have evicted it.
    if (systemCode(error) !== 'ENOENT') entry.disk.failed(error, 'read');
    if (isOwnShortage(error)) return;
    this.#blocks.drop(entry, 'lost');
  }

  #lookLater(): void {
    this.#timer = this.#options.clock.setTimer(LOOK_EVERY_MS, () => {
      void Promise.all(this.#usable().map((disk) => this.#blocks.keepFree(disk))).then(() => {
        if (!this.#stopping.signal.aborted) this.#lookLater();
      });
    });
  }
}

function entryOf(disk: CacheDisk, name: CacheName): DiskEntry {
  const { id, sizeBytes, sumsText } = name;
  return new DiskEntry({ id, disk, blockBytes: sizeBytes, sumsText });
}
