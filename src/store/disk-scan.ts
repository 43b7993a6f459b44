import { join } from 'node:path';
import type { BlockId } from '../block/block-key.ts';
import type { Clock } from '../runtime/clock.ts';
import { SingleFlight } from '../runtime/single-flight.ts';
import type { CacheDisk } from './cache-disk.ts';
import { systemCode } from './cache-error.ts';
import type { CacheName } from './cache-layout.ts';
import { FAN_OUT, folderName, folderOf, hasSumsFile, parseCacheName } from './cache-layout.ts';

/** Files that nobody finished within this time are left over from a daemon that died. */
const STRAY_AFTER_MS = 60_000;
/** Names that are looked at before other work gets its turn. */
const NAMES_PER_TURN = 1000;

/** What a scan reports. */
export interface ScanEvents {
  /** A block's file. */
  found(name: CacheName): void;
  /** A block whose checksums are missing: it can never be served. */
  incomplete(name: CacheName): void;
}

/** Finds the blocks that lie in a cache directory already. */
export class DiskScan {
  readonly #disk: CacheDisk;
  readonly #clock: Clock;
  readonly #events: ScanEvents;
  readonly #flights = new SingleFlight<number, void>();

  constructor(parts: { disk: CacheDisk; clock: Clock; events: ScanEvents }) {
    this.#disk = parts.disk;
    this.#clock = parts.clock;
    this.#events = parts.events;
  }

  /** Scans everything, folder by folder. Errors are the disk's; never rejects. */
  async all(signal: AbortSignal): Promise<void> {
    // Folders are made when they are first needed: of a new directory there is nothing to look at.
    const present = new Set(await this.#names(this.#disk.paths.blocks));
    for (let folder = 0; folder < FAN_OUT; folder += 1) {
      if (signal.aborted || this.#disk.isDown) return;
      if (present.has(folderName(folder))) await this.#folder(folder);
      else this.#disk.isScanned[folder] = 1;
    }
    await this.removeStrayTemps();
  }

  /** Scans the folder where this block would lie, unless that was done. Never rejects. */
  around(id: BlockId): Promise<void> {
    return this.#folder(folderOf(id));
  }

  /** Removes files that were never finished. Never rejects. */
  async removeStrayTemps(): Promise<void> {
    const { paths } = this.#disk;
    const names = await this.#names(paths.temp);
    for (const name of names) await this.#removeIfStray(join(paths.temp, name));
  }

  #folder(folder: number): Promise<void> {
    if (this.#disk.isScanned[folder] === 1) return Promise.resolve();
    return this.#flights.run(folder, async () => {
      const names = await this.#names(this.#disk.paths.folder(folder));
      await this.#report(folder, names);
      // One that cannot be read counts as known, for asking again would cost the same error.
      this.#disk.isScanned[folder] = 1;
    });
  }

  async #report(folder: number, names: readonly string[]): Promise<void> {
    const blocks: CacheName[] = [];
    const sums = new Set<BlockId>();
    for (const [at, text] of names.entries()) {
      if (at % NAMES_PER_TURN === NAMES_PER_TURN - 1) await nextTurn();
      const name = parseCacheName(text);
      if (name === undefined || folderOf(name.id) !== folder) continue;
      if (name.kind === 'sums') sums.add(name.id);
      else blocks.push(name);
    }
    for (const [at, block] of blocks.entries()) {
      if (at % NAMES_PER_TURN === NAMES_PER_TURN - 1) await nextTurn();
      const isComplete = !hasSumsFile(block.sizeBytes) || sums.delete(block.id);
      if (isComplete) this.#events.found(block);
      else this.#events.incomplete(block);
    }
    // A writer puts the checksums into their place first: young ones may have a block soon.
    for (const id of sums) await this.#removeIfStray(this.#disk.paths.sums(id));
  }

  async #names(path: string): Promise<string[]> {
    try {
      return await this.#disk.io.readFolder(path);
    } catch (error) {
      // Folders of blocks are made when they are first needed.
      if (systemCode(error) !== 'ENOENT') this.#disk.failed(error, 'scan');
      return [];
    }
  }

  async #removeIfStray(path: string): Promise<void> {
    try {
      const modifiedAtMs = await this.#disk.io.modifiedAtMs(path);
      if (this.#clock.wallMs() - modifiedAtMs > STRAY_AFTER_MS) await this.#disk.io.unlink(path);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') this.#disk.failed(error, 'removal of a stray file');
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
