import type { Ino } from '../../posix/ino.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { Random } from '../../runtime/random.ts';
import type { Startable } from '../../runtime/startable.ts';
import type { WritableEngine } from '../writable-engine.ts';
import { ChunkCompactor, type SliceMaker } from './chunk-compactor.ts';
import { DataDeleter } from './data-deleter.ts';
import type { JobName, SliceSize } from './meta-tx.ts';
import { emptyTrash } from './empty-trash.ts';
import type { WriteRunner } from './write-runner.ts';

const HOUR_MS = 3_600_000;
const DAY_SECONDS = 86_400;
/** Somebody else's work of the last 54 minutes is as good as ours. */
const JOB_AGE_SECONDS = 3240;
/** Of 12 s between heartbeats. */
const SESSIONS_AGE_SECONDS = 10;
/** Left to whoever removed them, who deletes their data at once. */
const DELETED_AGE_SECONDS = 3600;
const DELETED_MAX = 600_000;
/** Then it is somebody else's turn. */
const FILES_MS_MAX = 50 * 60_000;
const BATCH = 1000;

/** Removes the blocks of slices from the object store. */
export interface SliceRemover {
  /** Removes all objects of a slice; what is not there is no error. @throws StoreError */
  removeSlice(slice: SliceSize, signal: AbortSignal): Promise<void>;
}

/** What {@link Upkeep} works with. */
export interface UpkeepParts {
  readonly engine: WritableEngine;
  readonly runner: WriteRunner;
  readonly objects: SliceRemover;
  /** This mount's session. */
  readonly sid: () => bigint | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * The work behind a volume that some client must do, and that clients take turns at: removes the data
 * of deleted files, slices that nothing refers to, what is old in the trash, and what sessions that
 * are gone have left.
 */
export class Upkeep implements Startable {
  readonly #parts: UpkeepParts;
  readonly #deleter: DataDeleter;
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
    this.#deleter = new DataDeleter(parts, this.#stopping.signal);
  }

  /** A file is gone: its data is deleted soon, as far as there is time. */
  noteDeleted(ino: Ino, length: bigint): void {
    this.#deleter.add({ ino, length });
  }

  /** Resolves when the data of all files that were noted is deleted, or left to the next hour. */
  settle(): Promise<void> {
    return this.#deleter.settle();
  }

  /** A compactor that removes what it replaces as this upkeep does. */
  compactor(maker: SliceMaker): ChunkCompactor {
    const { engine, runner } = this.#parts;
    return new ChunkCompactor({
      ...{ engine, runner, maker },
      removeSlices: (slices, signal) => this.#deleter.removeSlices(slices, signal),
    });
  }

  async start(): Promise<void> {
    this.#schedule();
  }

  /** Lets what is under way end at its next step. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#stopping.abort(new Error('the upkeep of the volume is stopped'));
    await Promise.all([this.#work, this.#deleter.settle()]);
  }

  /** Does the hourly work that nobody else has done lately. @throws MetaError, StoreError */
  async runJobs(signal: AbortSignal): Promise<void> {
    await this.#job('lastCleanupFiles', JOB_AGE_SECONDS, signal, () => this.#deletedFiles(signal));
    await this.#job('nextCleanupSlices', JOB_AGE_SECONDS, signal, () => this.#unused(signal));
    await this.#job('lastCleanupTrash', JOB_AGE_SECONDS, signal, () => this.#trash(signal));
  }

  /** Cleans up what sessions that are gone have left; for every heartbeat. @throws MetaError */
  async cleanSessions(signal: AbortSignal): Promise<void> {
    const { engine } = this.#parts;
    await this.#job('lastCleanupSessions', SESSIONS_AGE_SECONDS, signal, async () => {
      const stale = await engine.scans.staleSessions(this.#seconds(), BATCH, signal);
      const own = this.#parts.sid();
      for (const sid of stale) {
        // Ours is late, not gone: its next heartbeat shows it.
        if (sid !== own) await this.closeSession(sid, signal);
      }
    });
  }

  /**
   * Gives back a session's locks, removes the inodes that it kept, and then the session. The way to
   * end one's own, too.
   *
   * @throws MetaError; the session is then there still
   */
  async closeSession(sid: bigint, signal: AbortSignal): Promise<void> {
    const { engine, runner } = this.#parts;
    // In another volume the session's number is somebody else's.
    runner.check();
    await engine.scans.dropLocks(sid, signal);
    for (const ino of await engine.scans.sustained(sid, signal)) {
      const length = await runner.run('dropSustained', { ino, sid }, { turns: [ino], signal });
      if (length !== undefined) this.noteDeleted(ino, length);
    }
    await engine.closeSession(sid, signal);
  }

  #schedule(): void {
    const { clock, random } = this.#parts;
    // All clients of a volume were perhaps started at once.
    const delayMs = HOUR_MS * (0.95 + random.below(101) / 1000);
    this.#timer = clock.setTimer(delayMs, () => {
      this.#work = this.#hour();
    });
  }

  async #hour(): Promise<void> {
    const { signal } = this.#stopping;
    try {
      await this.runJobs(signal);
    } catch (error) {
      if (signal.aborted) return;
      const { metrics, logger } = this.#parts;
      metrics.counter({ name: 'upkeep_errors', help: 'hourly work that failed' }).add();
      logger.warn(
        { error: String(error) },
        'upkeep of the volume failed, others or the next hour do it',
      );
    }
    if (!signal.aborted) this.#schedule();
  }

  async #job(
    job: JobName,
    minAgeSeconds: number,
    signal: AbortSignal,
    work: () => Promise<void>,
  ): Promise<void> {
    const args = { job, minAgeSeconds };
    // No inode has the number 0: jobs are told apart by their names.
    const isOurs = await this.#parts.runner.run('claimJob', args, { turns: [NO_INO], signal });
    if (isOurs) await work();
  }

  async #deletedFiles(signal: AbortSignal): Promise<void> {
    const before = this.#seconds() - DELETED_AGE_SECONDS;
    const { scans } = this.#parts.engine;
    const files = await scans.deletedFiles(before, DELETED_MAX, signal);
    const endMs = this.#parts.clock.nowMs() + FILES_MS_MAX;
    for (const file of files) {
      if (this.#parts.clock.nowMs() > endMs) return;
      await this.#deleter.deleteFile(file, signal);
    }
  }

  async #unused(signal: AbortSignal): Promise<void> {
    const { scans } = this.#parts.engine;
    await this.#deleter.removeSlices(await scans.unusedSlices(BATCH, signal), signal);
  }

  async #trash(signal: AbortSignal): Promise<void> {
    const { engine, runner, clock } = this.#parts;
    const { trashDays } = runner.rules;
    const gone = (ino: Ino, length: bigint) => this.noteDeleted(ino, length);
    await emptyTrash({ engine, runner, onDeleted: gone }, clock.wallMs(), trashDays, signal);
    const before = this.#seconds() - trashDays * DAY_SECONDS;
    const names = await engine.scans.delayedSlices(before, BATCH, signal);
    for (const name of names) {
      const unused = await runner.run('releaseDelayed', name, { turns: [NO_INO], signal });
      await this.#deleter.removeSlices(unused, signal);
    }
  }

  #seconds(): number {
    return Math.floor(this.#parts.clock.wallMs() / 1000);
  }
}

const NO_INO = 0n as Ino;
