import { planCompaction } from '../../block/compaction-plan.ts';
import type { SliceRecord } from '../../block/slice-record.ts';
import { BlockReadError } from '../../mesh/loader.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Clock } from '../../runtime/clock.ts';
import { settlesWithin, withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Counter, Metrics } from '../../runtime/metrics.ts';

/** Makes one slice of many; see `ChunkCompactor`. */
export interface Compactor {
  /** @returns whether the chunk is shorter now */
  compact(ino: Ino, index: number, signal: AbortSignal): Promise<boolean>;
}

/** What {@link Compactions} work with. */
export interface CompactionsParts {
  readonly compactor: Compactor;
  /** A chunk's bytes are the same and stand elsewhere now; where they stood may be gone. */
  readonly onMoved: (ino: Ino, index: number) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** A reader that meets so many records, or pieces of them, has them made one. As JuiceFS has it. */
const READ_RECORDS = 5;
/** A writer has it done whenever another hundred records are full, … */
const WRITE_STEP = 100;
/** … at each commit when there are more than so many, … */
const WRITE_RECORDS = 350;
/** … and waits for it when there are so many. */
const WAIT_RECORDS = 2500;
/** How long it waits: it is slowed down, not stopped. */
const WAIT_MS_MAX = 60_000;
/** Each holds a block in memory; JuiceFS lets 11 run. What finds no place is noted again later. */
const RUNNING_MAX = 4;
/** Bound of one: 64 MiB are read and written. */
const TIMEOUT_MS = 300_000;
/** When the mount ends, what is under way is given so long: what is broken off leaves objects for gc. */
const GRACE_MS = 5_000;

/** Has chunks of many slices compacted in the background, when JuiceFS would. */
export class Compactions {
  readonly #parts: CompactionsParts;
  readonly #running = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #done: Counter;
  readonly #failed: Counter;
  #isOpen = true;

  constructor(parts: CompactionsParts) {
    this.#parts = parts;
    const counter = (name: string, help: string) => parts.metrics.counter({ name, help });
    this.#done = counter('compactions', 'Chunks whose slices were made one');
    this.#failed = counter('compaction_failures', 'Chunks that stay as they are for now');
  }

  /** The slice list of a chunk was read. @param pieceCount - that its reading plan has */
  noteRead(ino: Ino, index: number, records: readonly SliceRecord[], pieceCount: number): void {
    if (Math.max(records.length, pieceCount) < READ_RECORDS) return;
    // Large slices side by side stay as they are, however often they are read.
    if (planCompaction(records) !== undefined) void this.#begin(ino, index);
  }

  /**
   * Slices were committed. Resolves when the writer may go on. Never rejects.
   *
   * @param recordCount - records that the chunk has now
   */
  async noteCommit(ino: Ino, index: number, recordCount: number): Promise<void> {
    const isStep = recordCount % WRITE_STEP === WRITE_STEP - 1;
    if (!isStep && recordCount <= WRITE_RECORDS) return;
    const mustWait = recordCount >= WAIT_RECORDS;
    const running = this.#begin(ino, index, mustWait);
    if (!mustWait || running === undefined) return;
    await settlesWithin(running, this.#parts.clock, WAIT_MS_MAX);
  }

  /** Begins no more, and ends what is under way. Never rejects. */
  async stop(): Promise<void> {
    this.#isOpen = false;
    const running = Promise.all(this.#running.values());
    if (await settlesWithin(running, this.#parts.clock, GRACE_MS)) return;
    this.#stopping.abort(new Error('the mount ends'));
    await running;
  }

  /** @returns what is under way on this chunk */
  #begin(ino: Ino, index: number, isUrgent = false): Promise<void> | undefined {
    const chunk = `${ino}_${index}`;
    const running = this.#running.get(chunk);
    if (running !== undefined || !this.#isOpen) return running;
    if (this.#running.size >= RUNNING_MAX && !isUrgent) return undefined;
    const begun = this.#compact(ino, index).finally(() => this.#running.delete(chunk));
    this.#running.set(chunk, begun);
    return begun;
  }

  async #compact(ino: Ino, index: number): Promise<void> {
    const { compactor, onMoved, clock, logger } = this.#parts;
    const what = `compaction of chunk ${index} of inode ${ino}`;
    const wait = { what, timeoutMs: TIMEOUT_MS, signal: this.#stopping.signal };
    try {
      const isDone = await withDeadline(clock, wait, (signal) =>
        compactor.compact(ino, index, signal),
      );
      if (!isDone) return;
      this.#done.add();
      onMoved(ino, index);
    } catch (error) {
      this.#failed.add();
      const fields = { ino: String(ino), index, error: String(error) };
      // Another client has compacted it, or deleted the file.
      const isGone = error instanceof BlockReadError && error.code === 'missing';
      logger[isGone ? 'debug' : 'warn'](fields, 'a chunk could not be compacted');
    }
  }
}
