import type { Ino } from '../../posix/ino.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Counter, Gauge, Metrics } from '../../runtime/metrics.ts';
import type { FileVersion } from '../file-version.ts';
import { AheadCredit } from './ahead-credit.ts';
import { DirectoryBook, type FollowedDirectory, meanBytes } from './directory-book.ts';
import { FileBringer, type FileBringerParts } from './file-bringer.ts';
import { SeenOrder } from './seen-order.ts';

/** Larger files are left to reading ahead within the file. */
const FILE_BYTES_MAX = 1024 * 1024;
/** Files that are brought together, and their bytes, as far as they can be told before. */
const BATCH_FILES = 64;
const BATCH_BYTES = 4 * 1024 * 1024;
/** A batch is worth its questions from here on; a small budget is used in four parts. */
const WORTH_BYTES = 2 * 1024 * 1024;
/** Batches under way: while the metadata answers for one, the blocks of others come. */
const BATCHES_AT_ONCE = 4;
/** Files that may be brought and not opened yet, and their share of the files that are kept. */
const FILES_MAX = 20_000;
const FILES_SHARE = 0.5;
/** Directories that wait for their turn; who reads went past the ones before long ago. */
const DIRECTORIES_WANTED_MAX = 64;
/** Files that are passed over in one look for the next ones, since they are here. */
const PASSED_OVER_MAX = 1_000;
/** Brought files are looked at again after this; those that were evicted count as wasted. */
const REVIEW_MS = 60_000;
const FORGET_MS = 900_000;
/** After a failure of the metadata nothing is brought for this long. */
const PAUSE_MS = 1_000;

/** What reading ahead over files works with. */
export interface FileAheadParts extends FileBringerParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly bufferGauge: Gauge;
  /** Bytes that may be brought and not opened yet; 0 switches it off. */
  readonly budgetBytes: number;
  /** Files of which something is kept; 0: any number. */
  readonly filesKept: number;
  /** Takes note of opens that other threads have answered. */
  catchUp(): void;
}

interface Brought {
  readonly bytes: number;
  /** Its blocks are under way. */
  isComing: boolean;
  readonly atMs: number;
  reviewedAtMs: number;
}

/**
 * Brings small files before they are opened: the coming ones of a directory, in the order in which
 * its files are being opened if there is one, or that they were opened in before.
 *
 * Only reads that miss set it going, so with warm caches it costs next to nothing; and how much it
 * brings depends on what was read and on how much of what it brought was used.
 */
export class FileAhead {
  readonly #parts: FileAheadParts;
  readonly #filesMax: number;
  readonly #credit: AheadCredit;
  readonly #book: DirectoryBook;
  readonly #seen = new SeenOrder();
  readonly #bringer: FileBringer;
  /** Directories that may have more to bring; the one that was read first comes first. */
  readonly #wanted = new Set<FollowedDirectory>();
  readonly #brought = new Map<Ino, Brought>();
  readonly #asked = new Set<Ino>();
  readonly #stopping = new AbortController();
  readonly #files: (outcome: 'brought' | 'used' | 'wasted', bytes: number) => void;
  readonly #failures: Counter;
  #running = 0;
  #isLooking = false;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(parts: FileAheadParts) {
    this.#parts = parts;
    const { filesKept } = parts;
    this.#filesMax = Math.min(FILES_MAX, (filesKept === 0 ? FILES_MAX : filesKept) * FILES_SHARE);
    this.#credit = new AheadCredit(parts.budgetBytes);
    this.#book = new DirectoryBook(parts);
    this.#bringer = new FileBringer(parts);
    this.#files = outcomeCounters(parts.metrics);
    const help = 'Batches of files to be brought ahead that the metadata did not answer for';
    this.#failures = parts.metrics.counter({ name: 'fileahead_failures', help });
  }

  /** Ends what is under way. */
  stop(): void {
    this.#stopping.abort();
    this.#wanted.clear();
  }

  /**
   * Takes note of an open.
   *
   * @param file - its version, the directory that it is in (0: several, or unknown), and whether all
   *   that a read needs is here
   */
  opened(file: { version: FileVersion; parent: Ino; isReady: boolean }): void {
    const { version, parent, isReady } = file;
    const { ino, lengthBytes } = version;
    if (this.#parts.budgetBytes === 0 || lengthBytes > FILE_BYTES_MAX) return;
    this.#credit.demand(lengthBytes);
    this.#seen.note(ino);
    const wasBrought = this.#used(ino, isReady);
    const directory = parent === 0n ? undefined : this.#directory(parent, isReady && !wasBrought);
    if (!isReady && !wasBrought) directory?.listing?.missed();
    if (directory !== undefined) this.#book.opened(directory, ino, lengthBytes);
    if (isReady && !wasBrought) return;
    if (directory !== undefined) this.#want(directory);
    this.#look();
  }

  #want(directory: FollowedDirectory): void {
    this.#wanted.add(directory);
    const [oldest] = this.#wanted;
    if (this.#wanted.size > DIRECTORIES_WANTED_MAX && oldest !== undefined) {
      this.#wanted.delete(oldest);
    }
  }

  /** A directory is followed from the first open that had to fetch something. */
  #directory(parent: Ino, isWarm: boolean): FollowedDirectory | undefined {
    return isWarm ? this.#book.find(parent) : this.#book.follow(parent);
  }

  /** @returns whether the file was brought */
  #used(ino: Ino, isReady: boolean): boolean {
    if (this.#asked.delete(ino)) return true;
    const brought = this.#brought.get(ino);
    if (brought === undefined) return false;
    const isUsed = isReady || brought.isComing;
    this.#settle(ino, brought, isUsed ? 'used' : 'wasted');
    return isUsed;
  }

  #settle(ino: Ino, { bytes }: Brought, outcome: 'used' | 'wasted'): void {
    this.#brought.delete(ino);
    this.#credit.settle(outcome, bytes);
    this.#files(outcome, bytes);
  }

  /** Begins as many batches as may be under way. */
  #look(): void {
    if (this.#isLooking || this.#stopping.signal.aborted) return;
    this.#isLooking = true;
    try {
      this.#review();
      while (this.#running < BATCHES_AT_ONCE) {
        const inos = this.#pick();
        if (inos.length === 0) return;
        void this.#bring(inos);
      }
    } finally {
      this.#isLooking = false;
    }
  }

  #pick(): Ino[] {
    const { clock, budgetBytes } = this.#parts;
    const { availableBytes } = this.#credit;
    const isWorth = availableBytes >= Math.min(WORTH_BYTES, budgetBytes / 4);
    if (!isWorth || clock.nowMs() < this.#pausedUntilMs) return [];
    const roomFiles = this.#filesMax - this.#brought.size - this.#asked.size;
    const bytesMax = Math.min(BATCH_BYTES, availableBytes);
    const inos: Ino[] = [];
    let bytes = 0;
    let passedOver = 0;
    while (inos.length < Math.min(BATCH_FILES, roomFiles) && bytes < bytesMax) {
      const next = this.#next();
      if (next === undefined || passedOver > PASSED_OVER_MAX) break;
      if (this.#isHere(next.ino)) {
        passedOver += 1;
        continue;
      }
      this.#asked.add(next.ino);
      inos.push(next.ino);
      bytes += next.bytes;
    }
    return inos;
  }

  /** The next file that is likely to be opened, and about how long it is. */
  #next(): { ino: Ino; bytes: number } | undefined {
    const again = this.#seen.next();
    if (again !== undefined) return { ino: again, bytes: BATCH_BYTES / BATCH_FILES };
    const mayShuffle = this.#book.activeBytes <= this.#parts.budgetBytes;
    for (const directory of this.#wanted) {
      if (this.#book.isDue(directory)) void this.#list(directory);
      const ino = directory.listing?.next(mayShuffle);
      if (ino !== undefined) return { ino, bytes: meanBytes(directory) };
      this.#wanted.delete(directory);
    }
    return undefined;
  }

  #isHere(ino: Ino): boolean {
    if (this.#brought.has(ino) || this.#asked.has(ino)) return true;
    const file = this.#parts.files.find(ino);
    return file !== undefined && this.#parts.publisher.isAtHand(file.version, 0);
  }

  async #list(directory: FollowedDirectory): Promise<void> {
    try {
      await this.#book.list(directory, this.#stopping.signal);
      this.#want(directory);
      this.#look();
    } catch (error) {
      this.#onFailure(error);
    }
  }

  async #bring(inos: readonly Ino[]): Promise<void> {
    const { bufferGauge } = this.#parts;
    let bytes = 0;
    const accept = (ino: Ino, lengthBytes: number) => {
      // It may have been opened since it was chosen.
      if (!this.#asked.delete(ino) || lengthBytes > FILE_BYTES_MAX) return false;
      bytes += lengthBytes;
      bufferGauge.add(lengthBytes);
      this.#note(ino, lengthBytes);
      return true;
    };
    this.#running += 1;
    try {
      await this.#bringer.bring(inos, accept, this.#stopping.signal);
    } catch (error) {
      this.#onFailure(error);
    } finally {
      bufferGauge.add(-bytes);
      for (const ino of inos) this.#landed(ino);
      this.#running -= 1;
    }
    // What other threads have opened meanwhile tells what comes next.
    if (!this.#stopping.signal.aborted) this.#parts.catchUp();
    this.#look();
  }

  /** A file is being brought. */
  #note(ino: Ino, bytes: number): void {
    const nowMs = this.#parts.clock.nowMs();
    this.#brought.set(ino, { bytes, isComing: true, atMs: nowMs, reviewedAtMs: nowMs });
    this.#credit.take(bytes);
    this.#files('brought', bytes);
  }

  #landed(ino: Ino): void {
    this.#asked.delete(ino);
    const brought = this.#brought.get(ino);
    if (brought !== undefined) brought.isComing = false;
  }

  /** Settles what was evicted before it was opened, or lies there for very long. */
  #review(): void {
    const nowMs = this.#parts.clock.nowMs();
    for (const [ino, brought] of this.#brought) {
      if (nowMs - brought.reviewedAtMs < REVIEW_MS) return;
      const file = this.#parts.files.find(ino);
      const isHere = file !== undefined && this.#parts.publisher.isAtHand(file.version, 0);
      if (!isHere || nowMs - brought.atMs >= FORGET_MS) {
        this.#settle(ino, brought, 'wasted');
        continue;
      }
      brought.reviewedAtMs = nowMs;
      this.#brought.delete(ino);
      this.#brought.set(ino, brought);
    }
  }

  #onFailure(error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    this.#failures.add();
    this.#pausedUntilMs = this.#parts.clock.nowMs() + PAUSE_MS;
    this.#parts.logger.debug({ error: String(error) }, 'reading files ahead failed');
  }
}

function outcomeCounters(metrics: Metrics): (outcome: string, bytes: number) => void {
  const counters = new Map(
    ['brought', 'used', 'wasted'].map((outcome) => {
      const labels = { outcome };
      const help = 'that were brought before they were opened, by what became of them';
      const files = metrics.counter({
        name: 'fileahead_files',
        help: `Small files ${help}`,
        labels,
      });
      const bytes = metrics.counter({
        name: 'fileahead_bytes',
        help: `Bytes of small files ${help}`,
        labels,
      });
      return [outcome, { files, bytes }];
    }),
  );
  return (outcome, bytes) => {
    counters.get(outcome)?.files.add();
    counters.get(outcome)?.bytes.add(bytes);
  };
}
