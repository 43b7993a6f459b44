import type { Clock, Timer } from '../runtime/clock.ts';
import type { DiskEntry } from './disk-entry.ts';
import type { DiskIndex } from './disk-index.ts';

/** A cache of 100 GiB is gone through in seven hours, for 0.2 % of a core. */
const BYTES_PER_MS = 4 * 1024;
/** Between two blocks at least: small files cost by their number. */
const GAP_LEAST_MS = 50;
/** Before the first pass, and between two. */
const PAUSE_MS = 60_000;
/** Blocks that are passed over in one step, at most. */
const LOOKS_MAX = 1_000;

/** What a {@link DiskScrub} works with. */
export interface DiskScrubParts {
  readonly index: DiskIndex;
  /** Compares a block with its checksums and drops it when it is bad. Does not reject. */
  readonly recheck: (entry: DiskEntry) => Promise<void>;
  readonly clock: Clock;
}

/**
 * Checks again, slowly and for ever, the blocks that are read unchecked since they were checked once:
 * a file may go bad later. It reads as readers do, so it sees what they get.
 */
export class DiskScrub {
  readonly #parts: DiskScrubParts;
  #left: Iterator<DiskEntry>;
  #timer: Timer | undefined;
  #step: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(parts: DiskScrubParts) {
    this.#parts = parts;
    this.#left = parts.index.entries();
  }

  start(): void {
    this.#later(PAUSE_MS);
  }

  /** Resolves when nothing is being checked any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#step;
  }

  #later(delayMs: number): void {
    if (this.#isStopped) return;
    this.#timer = this.#parts.clock.setTimer(delayMs, () => {
      this.#step = this.#next().then((waitMs) => this.#later(waitMs));
    });
  }

  /** @returns the pause until the next one, in ms */
  async #next(): Promise<number> {
    for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
      const { done, value: entry } = this.#left.next();
      if (done === true) {
        this.#left = this.#parts.index.entries();
        return PAUSE_MS;
      }
      if (!entry.isVerified || entry.isGone || entry.disk.isDown || entry.disk.hangs()) continue;
      await this.#parts.recheck(entry);
      return Math.max(GAP_LEAST_MS, entry.blockBytes / BYTES_PER_MS);
    }
    return GAP_LEAST_MS;
  }
}
