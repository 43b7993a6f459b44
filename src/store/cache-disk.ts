import type { BlockId } from '../block/block-key.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Random } from '../runtime/random.ts';
import { isOwnShortage, systemCode } from './cache-error.ts';
import { CachePaths, FAN_OUT, folderOf, folderModeOf } from './cache-layout.ts';
import { hashText } from './block-hash.ts';
import type { DiskIo } from './disk-io.ts';
import type { FileSystemUsage } from './file-calls.ts';
import type { TierMetrics } from './tier-metrics.ts';

/** So many errors within {@link ERROR_WINDOW_MS} take a disk out of use. */
const ERRORS_MAX = 3;
const ERROR_WINDOW_MS = 60_000;
const ID_BYTES = 16;

/** What a {@link CacheDisk} is made of. */
export interface CacheDiskOptions {
  /** One of `--cache-dir`. */
  readonly directory: string;
  readonly volumeUuid: string;
  /** What blocks may take here. */
  readonly capacityBytes: number;
  /** Share of the file system's bytes and inodes that stays free, 0 … 1. */
  readonly freeSpaceRatio: number;
  /** Mode of files, `--cache-mode`; who may read files may enter folders. */
  readonly fileMode: number;
  readonly io: DiskIo;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: TierMetrics;
}

/** One cache directory: where its files lie, how full its file system is, and whether it still works. */
export class CacheDisk {
  readonly paths: CachePaths;
  readonly io: DiskIo;
  readonly directory: string;
  /** Bytes that blocks may take: what is configured, or less on a small file system. */
  capacityBytes: number;
  /** Bytes of entries, and of blocks that are being written. */
  usedBytes = 0;
  /** There is not enough free space even though nothing is left to evict. */
  isFull = false;
  /** Out of use for good. */
  isDown = false;
  /** Which folders' contents are in the index. */
  readonly isScanned = new Uint8Array(FAN_OUT);
  readonly #options: CacheDiskOptions;
  readonly #errorsAtMs: number[] = [];
  #onDown: () => void = () => undefined;
  #onHang: () => void = () => undefined;
  #isHanging = false;
  #seed = 0;

  constructor(options: CacheDiskOptions) {
    this.#options = options;
    this.directory = options.directory;
    this.io = options.io;
    this.capacityBytes = options.capacityBytes;
    this.paths = new CachePaths(options.directory, options.volumeUuid);
  }

  /** Makes the folders, reads or gives the directory's name. @throws the system's error */
  async prepare(): Promise<void> {
    const { io } = this;
    for (const path of [this.paths.base, this.paths.temp, this.paths.blocks]) {
      await io.makeFolder(path, { recursive: true, mode: folderModeOf(this.#options.fileMode) });
    }
    this.#seed = hashText(await this.#readId());
    const { freeSpaceRatio } = this.#options;
    const { blocks, bsize } = await io.fileSystem(this.paths.base);
    const most = Math.floor(blocks * bsize * (1 - freeSpaceRatio));
    this.capacityBytes = Math.min(this.capacityBytes, most);
  }

  /** How much this directory wants a block: the one that wants it most has it, whoever else comes or goes. */
  scoreOf(id: BlockId): number {
    return hashText(id, this.#seed);
  }

  /** Whether the index knows everything that lies where this block would lie. */
  knows(id: BlockId): boolean {
    return this.isScanned[folderOf(id)] === 1;
  }

  /** Makes a folder for blocks. The directory itself is never made again: its disk may be unmounted. */
  async makeFolder(folder: number): Promise<void> {
    const options = { recursive: false, mode: folderModeOf(this.#options.fileMode) };
    await this.io.makeFolder(this.paths.folder(folder), options).catch((error: unknown) => {
      if (systemCode(error) !== 'EEXIST') throw error;
    });
  }

  /** @returns bytes that have to be evicted so that enough stays free on the file system */
  async missingBytes(averageBytes: number): Promise<number> {
    const found = await this.io.fileSystem(this.paths.base);
    return missingBytes(found, this.#options.freeSpaceRatio, averageBytes);
  }

  /** Sets what is called once when the disk goes out of use. */
  onDown(call: () => void): void {
    this.#onDown = call;
  }

  /** Sets what is called each time when the disk begins to hang. */
  onHang(call: () => void): void {
    this.#onHang = call;
  }

  /** Whether the disk does not answer at present: it is not to be asked until it does. */
  hangs(): boolean {
    const { isHanging } = this.io.pace;
    if (isHanging === this.#isHanging) return isHanging;
    this.#isHanging = isHanging;
    const { log, metrics } = this.#options;
    const { directory } = this;
    if (isHanging) {
      metrics.hangs.add();
      log.warn({ directory }, 'cache disk hangs: it is passed over until it answers');
      this.#onHang();
    } else {
      log.info({ directory }, 'cache disk answers again');
    }
    return isHanging;
  }

  /** Counts an error of the disk; after too many the disk is no longer used. */
  failed(error: unknown, what: string): void {
    const { log, clock, metrics } = this.#options;
    if (this.isDown) return;
    metrics.ioErrors.add();
    log.warn({ err: error, directory: this.directory }, `cache disk: ${what} failed`);
    if (isOwnShortage(error)) return;
    const now = clock.nowMs();
    this.#errorsAtMs.push(now);
    while (now - (this.#errorsAtMs[0] ?? now) > ERROR_WINDOW_MS) this.#errorsAtMs.shift();
    if (this.#errorsAtMs.length < ERRORS_MAX) return;
    this.takeDown(`${ERRORS_MAX} errors within a minute`);
  }

  takeDown(why: string): void {
    this.isDown = true;
    this.#options.log.error({ directory: this.directory, why }, 'cache disk is out of use');
    this.#onDown();
  }

  async #readId(): Promise<string> {
    const { io } = this;
    const { random, fileMode } = this.#options;
    const known = await io.readFile(this.paths.id).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return new Uint8Array();
      throw error;
    });
    if (known.byteLength === 2 * ID_BYTES) return Buffer.from(known).toString('latin1');
    const id = Buffer.from(random.bytes(ID_BYTES)).toString('hex');
    const temp = `${this.paths.id}.${id}`;
    const fd = await io.openFile(temp, { flags: 'wx', mode: fileMode });
    try {
      await io.writeAll(fd, Buffer.from(id), 0);
    } finally {
      await io.close(fd);
    }
    await io.rename(temp, this.paths.id);
    return id;
  }
}

function missingBytes(found: FileSystemUsage, ratio: number, averageBytes: number): number {
  const bytes = (found.blocks * ratio - found.bavail) * found.bsize;
  // Some file systems have no fixed number of inodes and say 0.
  const inodes = found.files > 0 ? found.files * ratio - found.ffree : 0;
  return Math.max(0, Math.ceil(bytes), Math.ceil(inodes * averageBytes));
}
