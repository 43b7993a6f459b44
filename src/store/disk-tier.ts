import type { BlockId } from '../block/block-key.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { abortReason, withDeadline } from '../runtime/deadline.ts';
import type { LeaseTable } from '../runtime/lease-table.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import type { BlockIndex } from './block-index.ts';
import { CacheDisk } from './cache-disk.ts';
import { CacheError } from './cache-error.ts';
import type { CacheName } from './cache-layout.ts';
import type { ChecksumMode } from './checksum-mode.ts';
import { DiskBlocks } from './disk-blocks.ts';
import { DiskEntry } from './disk-entry.ts';
import { DiskIndex } from './disk-index.ts';
import { DiskIo } from './disk-io.ts';
import { DiskReader } from './disk-reader.ts';
import { DiskScrub } from './disk-scrub.ts';
import { DiskScan } from './disk-scan.ts';
import { DiskWriter } from './disk-writer.ts';
import type { EvictionName } from './eviction/create-policy.ts';
import { type FileCalls, systemFileCalls } from './file-calls.ts';
import { OpenFiles } from './open-files.ts';
import type { SlotRange } from './slot-range.ts';
import type { TierMetrics } from './tier-metrics.ts';
import { tierMetrics } from './tier-metrics.ts';
import { DiskViews } from './views/disk-views.ts';
import type { ViewCalls } from './views/view-calls.ts';
import type { DiskTier, HeldFile, OpenPurpose, TierUsage } from './tier.ts';

/** How often the free space of the file systems is looked at. */
const LOOK_EVERY_MS = 1000;
/** Of the files that are kept open: so many views there may be, each of which has a descriptor. */
const VIEWS_SHARE = 1 / 8;
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
  /** Is told which files workers may read, for threads that serve peers. */
  readonly index?: BlockIndex | undefined;
  /** Views are made with this; undefined: there are none. */
  readonly viewCalls?: ViewCalls | undefined;
  /** The machine's own when left out. */
  readonly files?: FileCalls | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Blocks in files of one or more directories, which are found again after a restart. */
export class DirectoryDiskTier implements DiskTier {
  readonly views: DiskViews | undefined;
  readonly #options: DiskTierOptions;
  readonly #metrics: TierMetrics;
  readonly #disks: readonly CacheDisk[];
  readonly #scans = new Map<CacheDisk, DiskScan>();
  readonly #index: DiskIndex;
  readonly #files: OpenFiles;
  readonly #blocks: DiskBlocks;
  readonly #writer: DiskWriter;
  readonly #reader: DiskReader;
  readonly #scrub: DiskScrub;
  readonly #stopping = new AbortController();
  #scanning: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined = undefined;

  constructor(options: DiskTierOptions) {
    const { clock, random, log, checksums, eviction, leases, slots } = options;
    this.#options = options;
    this.#metrics = tierMetrics(options.metrics);
    this.#disks = options.directories.map((directory) => this.#makeDisk(directory));
    this.#files = new OpenFiles({
      leases,
      slots,
      clock,
      log,
      openFilesMax: Math.max(1, options.openFilesMax),
      checks: { reads: checksums !== 'none', always: checksums !== 'once' },
      index: options.index,
    });
    this.#index = new DiskIndex({
      disks: this.#disks,
      eviction,
      random,
      metrics: this.#metrics,
      takeVisited: (entry) => this.#files.takeVisited(entry),
    });
    const core = { index: this.#index, metrics: this.#metrics };
    const onDrop = (entry: DiskEntry) => this.views?.dropped(entry);
    this.#blocks = new DiskBlocks({ ...core, files: this.#files, log, onDrop });
    this.#writer = new DiskWriter({
      ...core,
      blocks: this.#blocks,
      clock,
      random,
      fileMode: options.fileMode,
      queueBytesMax: options.queueBytesMax,
      timeoutMs: options.ioTimeoutMs,
    });
    this.#reader = new DiskReader({
      files: this.#files,
      blocks: this.#blocks,
      checksums,
      metrics: this.#metrics,
      signal: this.#stopping.signal,
    });
    const recheck = (entry: DiskEntry) => this.#reader.recheck(entry);
    this.#scrub = new DiskScrub({ index: this.#index, recheck, clock });
    this.views = options.viewCalls && this.#makeViews(options.viewCalls);
  }

  async start(): Promise<void> {
    await Promise.all(this.#disks.map((disk) => this.#startDisk(disk)));
    await this.views?.start();
    this.#scanning = Promise.all(this.#usable().map((disk) => this.#scanDisk(disk)));
    this.#lookLater();
    // In all other modes each use of a file is checked, or none.
    if (this.#options.checksums === 'once') this.#scrub.start();
  }

  async stop(): Promise<void> {
    const { clock, log } = this.#options;
    this.#stopping.abort(new CacheError('closed', 'the disk cache stops'));
    this.#timer?.cancel();
    const rest = async () => {
      await this.#writer.flushed();
      await this.#scrub.stop();
      await this.#scanning;
      await this.views?.stop();
      await this.#blocks.removed();
    };
    await withDeadline(clock, { what: 'disk cache', timeoutMs: STOP_MS }, rest).catch(
      (error: unknown) => log.warn({ err: error }, 'the disk cache stops with work undone'),
    );
    this.#files.closeAll();
    this.#metrics.blocks.add(-this.#index.blocks);
    this.#metrics.bytes.add(-this.#index.bytes);
  }

  async open(
    id: BlockId,
    signal: AbortSignal,
    purpose: OpenPurpose = 'lease',
  ): Promise<HeldFile | undefined> {
    if (signal.aborted) throw abortReason(signal);
    const entry = this.#index.get(id) ?? (await this.#find(id, signal));
    const isThere = entry !== undefined && !entry.disk.hangs();
    const held = isThere ? await this.#reader.open(entry, signal, purpose) : undefined;
    if (held === undefined) this.#metrics.misses.add();
    else this.#metrics.hits.add();
    return held;
  }

  has(id: BlockId): boolean {
    return this.#index.get(id) !== undefined;
  }

  lateMs(id: BlockId): number {
    const disk = this.#index.get(id)?.disk ?? this.#ownerOf(id);
    return disk?.io.pace.lateMs ?? Number.POSITIVE_INFINITY;
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

  async scanned(): Promise<void> {
    await this.#scanning;
  }

  ids(): Iterable<BlockId> {
    return this.#index.ids();
  }

  usage(): TierUsage {
    return {
      blocks: this.#index.blocks,
      usedBytes: this.#index.bytes,
      capacityBytes: this.#usable().reduce((sum, disk) => sum + disk.capacityBytes, 0),
    };
  }

  #makeViews(calls: ViewCalls): DiskViews {
    const { openFilesMax } = this.#options;
    return new DiskViews({
      ...this.#options,
      ...{ calls, disks: this.#disks, index: this.#index },
      acquire: (entry, signal) => this.#reader.acquireChecked(entry, signal),
      release: (file) => this.#files.release(file),
      viewsMax: Math.max(1, Math.floor(openFilesMax * VIEWS_SHARE)),
    });
  }

  #makeDisk(directory: string): CacheDisk {
    const { directories, cacheBytes, volumeUuid, freeSpaceRatio, fileMode } = this.#options;
    const { ioTimeoutMs, clock, random, log } = this.#options;
    return new CacheDisk({
      directory,
      volumeUuid,
      capacityBytes: Math.floor(cacheBytes / directories.length),
      freeSpaceRatio,
      fileMode,
      io: new DiskIo(this.#options.files ?? systemFileCalls, clock, ioTimeoutMs),
      clock,
      random,
      log,
      metrics: this.#metrics,
    });
  }

  async #startDisk(disk: CacheDisk): Promise<void> {
    disk.onDown(() => this.#forgetDisk(disk));
    disk.onHang(() => this.#files.withdraw(disk));
    const events = {
      found: (name: CacheName) => this.#found(disk, name),
      incomplete: (name: CacheName) => this.#foundIncomplete(disk, name),
    };
    const { clock } = this.#options;
    this.#scans.set(disk, new DiskScan({ disk, clock, events }));
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
    if (disk === undefined || disk.knows(id) || disk.hangs()) return undefined;
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
