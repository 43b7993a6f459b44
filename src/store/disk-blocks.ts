import type { Logger } from '../runtime/logger.ts';
import { systemCode } from './cache-error.ts';
import type { CacheDisk } from './cache-disk.ts';
import { hasSumsFile } from './cache-layout.ts';
import type { DiskEntry } from './disk-entry.ts';
import type { DiskIndex } from './disk-index.ts';
import type { OpenFiles } from './open-files.ts';
import type { TierMetrics } from './tier-metrics.ts';

/** Why a block goes: room is needed, it was asked for, its bytes are wrong, or its file is gone. */
export type DropReason = 'evicted' | 'deleted' | 'damaged' | 'lost';

/** Takes blocks off the disks, and keeps the disks within their bounds by doing so. */
export class DiskBlocks {
  readonly #parts: {
    readonly index: DiskIndex;
    readonly files: OpenFiles;
    readonly log: Logger;
    readonly metrics: TierMetrics;
    readonly onDrop: (entry: DiskEntry) => Promise<unknown> | undefined;
  };
  readonly #removals = new Set<Promise<unknown>>();

  /** @param parts - `onDrop`: hears of each; what it returns has to settle until the room is free */
  constructor(parts: {
    index: DiskIndex;
    files: OpenFiles;
    log: Logger;
    metrics: TierMetrics;
    onDrop: (entry: DiskEntry) => Promise<unknown> | undefined;
  }) {
    this.#parts = parts;
  }

  /** Takes a block out and removes its files; whoever holds it open can still read it. */
  drop(entry: DiskEntry, why: DropReason): void {
    const { index, files, metrics, log } = this.#parts;
    if (!index.remove(entry, why === 'evicted')) return;
    files.discard(entry);
    const freeing = this.#parts.onDrop(entry);
    if (freeing !== undefined) this.#follow(freeing);
    if (why === 'evicted') metrics.evicts.add();
    if (why === 'damaged') {
      metrics.damaged.add();
      log.warn({ block: entry.id, directory: entry.disk.directory }, 'damaged block dropped');
    }
    if (!entry.disk.isDown) this.removeFiles(entry);
  }

  /** Removes a block's files, which the index does not (or no longer) know. */
  removeFiles(entry: DiskEntry): void {
    this.#follow(this.#remove(entry));
  }

  #follow(work: Promise<unknown>): void {
    const removal = work.finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  /** Evicts until `bytes` more fit into what is configured. @returns whether they fit */
  makeRoom(disk: CacheDisk, bytes: number): boolean {
    while (disk.usedBytes + bytes > disk.capacityBytes) {
      const victim = this.#parts.index.victim(disk);
      if (victim === undefined) return false;
      this.drop(victim, 'evicted');
    }
    return true;
  }

  /** Evicts so many bytes, as far as there are any. @returns whether there were */
  evict(disk: CacheDisk, bytes: number): boolean {
    for (let left = bytes; left > 0; ) {
      const victim = this.#parts.index.victim(disk);
      if (victim === undefined) return false;
      left -= victim.sizeBytes;
      this.drop(victim, 'evicted');
    }
    return true;
  }

  /** Evicts what the file system lacks in free space. Never rejects. */
  async keepFree(disk: CacheDisk): Promise<void> {
    if (disk.isDown || disk.hangs()) return;
    try {
      const missing = await disk.missingBytes(this.#parts.index.averageBytes(disk));
      disk.isFull = !this.evict(disk, missing);
      // The next look must see what these removals have freed.
      await this.removed();
    } catch (error) {
      disk.failed(error, 'look at the free space');
    }
  }

  /** Resolves when the files dropped so far are removed. */
  async removed(): Promise<void> {
    await Promise.all(this.#removals);
  }

  async #remove(entry: DiskEntry): Promise<void> {
    const { disk, id } = entry;
    const paths = [entry.path];
    // The block first: without it the checksums are a stray file, the other way round it is damaged.
    if (hasSumsFile(entry.blockBytes)) paths.push(disk.paths.sums(id));
    for (const path of paths) {
      try {
        await disk.io.unlink(path);
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') disk.failed(error, 'removal of a block');
      }
    }
  }
}
