import type { DiskEntry } from '../disk-entry.ts';
import type { DiskView } from './disk-view.ts';
import type { ViewMetrics } from './view-metrics.ts';

/** Share of a disk that views may keep from eviction: the rest goes on being a cache. */
const SHARE = 0.5;

/**
 * What the room of views costs while the kernel reads them: their blocks are not evicted, for that would
 * free nothing, and those that go all the same stay counted.
 */
export class HeldRoom {
  readonly #metrics: ViewMetrics;
  #heldBytes = 0;

  constructor(metrics: ViewMetrics) {
    this.#metrics = metrics;
  }

  /** The kernel is about to get a view. @returns false when too much is held, or the view is over */
  hold(view: DiskView): boolean {
    if (!view.isGood) return false;
    if (view.isHeld) return true;
    if (this.#heldBytes + view.roomBytes > view.disk.capacityBytes * SHARE) return false;
    view.isHeld = true;
    for (const entry of view.entries) entry.holders += 1;
    this.#note(view.roomBytes);
    return true;
  }

  /** The kernel has closed a view. */
  letGo(view: DiskView): void {
    if (!view.isHeld) return;
    view.isHeld = false;
    for (const entry of view.entries) {
      entry.holders -= 1;
      if (entry.holders === 0 && entry.isGone) this.#keep(entry, -1);
    }
    this.#note(-view.roomBytes);
  }

  /** A block has left the index. */
  dropped(entry: DiskEntry): void {
    if (entry.holders > 0) this.#keep(entry, 1);
  }

  #keep({ disk, sizeBytes }: DiskEntry, sign: 1 | -1): void {
    disk.usedBytes += sign * sizeBytes;
    this.#metrics.keptBytes.add(sign * sizeBytes);
  }

  #note(bytes: number): void {
    this.#heldBytes += bytes;
    this.#metrics.heldBytes.add(bytes);
  }
}
