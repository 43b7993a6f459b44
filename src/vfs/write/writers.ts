import type { BlockSink } from '../../mesh/block-writer.ts';
import type { MetaReader } from '../../meta/engine.ts';
import type { DataWriter } from '../../meta/writer.ts';
import type { Ino } from '../../posix/ino.ts';
import { ByteBudget } from '../../runtime/byte-budget.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { OpenFiles } from '../open-files.ts';
import { BlockBuffers } from './block-buffers.ts';
import type { Compactions } from './compactions.ts';
import { CommitRun } from './commit-run.ts';
import { FileWriter } from './file-writer.ts';
import { WriteAbortedError } from './write-error.ts';
import { WriteClock } from './write-clock.ts';
import type { WrittenFiles, WritersShared } from './writers-shared.ts';

/** What writing works with. */
export interface WritersParts {
  readonly meta: MetaReader;
  readonly writer: DataWriter;
  readonly blocks: BlockSink;
  readonly compactions: Pick<Compactions, 'noteCommit'>;
  readonly openFiles: OpenFiles;
  readonly blockBytes: number;
  /** Memory for bytes that are not in the object store yet. */
  readonly bufferBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** How often somebody looks for what waits too long, and how long that is. As JuiceFS has it. */
const SWEEP_MS = 100;
const IDLE_MAX_MS = 1_000;
const AGE_MAX_MS = 5_000;
/** How long a write may wait for memory. */
const ROOM_TIMEOUT_MS = 300_000;
/** A flush that takes longer has failed. JuiceFS has the same. */
const FLUSH_TIMEOUT_MS = 300_000;
/** What is not committed so long after the end of the mount is given up. */
const STOP_TIMEOUT_MS = 60_000;

/** The writers of all files that are open for writing, or have something to commit. */
export class Writers {
  readonly #parts: WritersParts;
  readonly #shared: WritersShared;
  readonly #budget: ByteBudget;
  #dropPages: (ino: Ino) => void = () => undefined;
  readonly #writers = new Map<Ino, FileWriter>();
  readonly #dirty = new Set<FileWriter>();
  #timer: Timer | undefined;

  constructor(parts: WritersParts) {
    const { writer, clock, metrics, blockBytes } = parts;
    this.#parts = parts;
    this.#budget = new ByteBudget(parts.bufferBytes);
    const help = 'Bytes that were written and could not be kept';
    const used = metrics.gauge({
      name: 'write_buffer_used_bytes',
      help: 'Bytes that were written and are not committed',
    });
    this.#shared = {
      ...parts,
      buffers: new BlockBuffers(blockBytes),
      newSliceId: (signal) => writer.newSliceId(signal),
      commits: new CommitRun(parts),
      files: this.#written(parts.openFiles),
      times: new WriteClock(clock),
      lost: metrics.counter({ name: 'write_lost_bytes', help }),
      acquire: async (bytes, signal) => {
        const release = await this.#acquire(bytes, signal);
        used.set(this.#budget.usedBytes);
        return () => {
          release();
          used.set(this.#budget.usedBytes);
        };
      },
    };
  }

  /** @param dropPages - makes the kernel forget what it has of a file's content */
  onLoss(dropPages: (ino: Ino) => void): void {
    this.#dropPages = dropPages;
  }

  /** Counts one more handle that may write to the file, which must be open. */
  open(ino: Ino): FileWriter {
    let writer = this.#writers.get(ino);
    if (writer === undefined) {
      writer = new FileWriter(this.#parts.openFiles.reopen(ino), this.#shared, (own) => ({
        onDirty: () => this.#onDirty(own),
        onClean: () => this.#onClean(own),
      }));
      this.#writers.set(ino, writer);
    }
    writer.handles += 1;
    return writer;
  }

  /** One handle less. */
  close(writer: FileWriter): void {
    writer.handles -= 1;
    this.#forget(writer);
  }

  /**
   * Resolves when everything that was written to a file before is committed.
   *
   * @throws FsError when something was lost; DeadlineError; the signal's reason when aborted
   */
  async flush(ino: Ino, signal: AbortSignal): Promise<void> {
    const writer = this.#writers.get(ino);
    if (writer === undefined) return;
    if (!writer.dirty && writer.failure === undefined) return;
    const wait = { what: `flush of inode ${ino}`, timeoutMs: FLUSH_TIMEOUT_MS, signal };
    await withDeadline(this.#parts.clock, wait, (timed) => writer.flush(timed));
  }

  /** {@link flush} if the metadata and the object store do not have this part of the file yet. */
  async settle(
    ino: Ino,
    { offset, length }: { offset: number; length: number },
    signal: AbortSignal,
  ): Promise<void> {
    const writer = this.#writers.get(ino);
    if (writer === undefined) return;
    const end = BigInt(offset) + BigInt(length);
    const { attr, pending } = writer.file;
    // Between what is committed and where the file ends by now there are zeros, or new bytes.
    const isBehind = pending !== undefined && end > attr.length;
    if (isBehind || writer.touches(offset, length)) await this.flush(ino, signal);
  }

  /**
   * Runs `work` while nothing of a file waits to be committed, and nothing is written to it.
   *
   * @param signal - ends waiting, but not `work`, whose outcome is told
   * @throws what {@link flush} and `work` throw
   */
  async alone<T>(ino: Ino, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const writer = this.#writers.get(ino);
    if (writer === undefined) return work();
    writer.handles += 1;
    try {
      const what = `others that change inode ${ino}`;
      const wait = { what, timeoutMs: FLUSH_TIMEOUT_MS, signal };
      while (writer.isTaken) {
        await withDeadline(this.#parts.clock, wait, (timed) => writer.untilFree(timed));
      }
      return await writer.alone(async () => {
        await this.flush(ino, signal);
        return await work();
      });
    } finally {
      this.close(writer);
    }
  }

  /** Commits everything, as far as that is possible. Never rejects. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    const { clock, logger } = this.#parts;
    const wait = { what: 'committing what was written', timeoutMs: STOP_TIMEOUT_MS };
    try {
      // What one file has lost is told by its writer; the others go on.
      await withDeadline(clock, wait, (signal) =>
        Promise.allSettled([...this.#dirty].map((writer) => writer.flush(signal))),
      );
    } catch (error) {
      logger.error({ error: String(error) }, 'the mount ends with data that is not committed');
    }
    const reason = new WriteAbortedError('aborted', 'the daemon is stopping');
    for (const writer of this.#dirty) writer.abort(reason);
  }

  #written(openFiles: OpenFiles): WrittenFiles {
    return {
      wrote: (file, endBytes, mtime) => openFiles.wrote(file, endBytes, mtime),
      committed: (file, attr, isMoreWaiting) => openFiles.committed(file, attr, isMoreWaiting),
      gaveUp: (file) => {
        openFiles.gaveUp(file);
        this.#dropPages(file.ino);
      },
    };
  }

  #onDirty(writer: FileWriter): void {
    this.#dirty.add(writer);
    this.#timer ??= this.#parts.clock.setTimer(SWEEP_MS, () => this.#sweep());
  }

  #onClean(writer: FileWriter): void {
    this.#dirty.delete(writer);
    this.#forget(writer);
  }

  #forget(writer: FileWriter): void {
    if (writer.handles > 0 || writer.dirty) return;
    if (this.#writers.get(writer.ino) !== writer) return;
    this.#writers.delete(writer.ino);
    this.#parts.openFiles.close(writer.file, writer.held);
  }

  #sweep(): void {
    this.#timer = undefined;
    const nowMs = this.#parts.clock.nowMs();
    const before = { startedMs: nowMs - AGE_MAX_MS, idleMs: nowMs - IDLE_MAX_MS };
    for (const writer of this.#dirty) writer.freeze(before);
    if (this.#dirty.size > 0) {
      this.#timer = this.#parts.clock.setTimer(SWEEP_MS, () => this.#sweep());
    }
  }

  async #acquire(bytes: number, signal: AbortSignal): Promise<() => void> {
    const isTight = this.#budget.usedBytes + bytes > this.#parts.bufferBytes;
    // What is held by slices that nobody would send for seconds is needed now.
    if (isTight) for (const writer of this.#dirty) writer.freeze();
    if (!isTight) return await this.#budget.acquire(bytes, signal);
    const wait = { what: 'memory for a write', timeoutMs: ROOM_TIMEOUT_MS, signal };
    return await withDeadline(this.#parts.clock, wait, (timed) =>
      this.#budget.acquire(bytes, timed),
    );
  }
}
