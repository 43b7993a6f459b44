import { FsError } from '../../posix/errno.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Gauge, Metrics } from '../../runtime/metrics.ts';
import { CacheJob, type CacheJobParts } from './cache-job.ts';
import type { CacheAction, CacheProgress } from './cache-progress.ts';

/** Jobs at once; each may have 65,536 blocks under way. */
const JOBS_MAX = 16;
/** Ended jobs that are still told about. */
const ENDED_MAX = 16;
const LOG_INTERVAL_MS = 10_000;

/** What a job is to do. */
export interface CacheRequest {
  readonly action: CacheAction;
  /** Relative to the mounted root, or `inode:<n>`. */
  readonly paths: readonly string[];
  /** Blocks that one node fetches at once, 1 … 1000. */
  readonly parallel: number;
}

/** A job that runs or has ended. */
export interface RunningJob {
  readonly id: number;
  readonly action: CacheAction;
  readonly paths: number;
  /** On the clock that goes on. */
  readonly startedAtMs: number;
  /** Undefined while it runs. */
  readonly endedAtMs: number | undefined;
  readonly progress: CacheProgress;
  /** Resolves when it has ended, whatever happened. */
  readonly ended: Promise<void>;
  /** `running`, `done` (failures are in the progress), `cancelled`. */
  readonly state: 'running' | 'done' | 'cancelled';
  cancel(): void;
}

type Mutable = { -readonly [Field in keyof RunningJob]: RunningJob[Field] };

/** What {@link CacheJobs} work with. */
export interface CacheJobsParts extends Omit<CacheJobParts, 'action' | 'parallel' | 'signal'> {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** The warm-ups, checks and evictions of this node. */
export class CacheJobs {
  readonly #parts: CacheJobsParts;
  readonly #running = new Map<number, RunningJob>();
  readonly #done: RunningJob[] = [];
  readonly #gauge: Gauge;
  #last = 0;
  #logTimer: Timer | undefined;

  constructor(parts: CacheJobsParts) {
    this.#parts = parts;
    const help = 'Warm-ups, checks and evictions that this node runs';
    this.#gauge = parts.metrics.gauge({ name: 'cache_jobs', help });
  }

  /** Those that run, and the last that have ended. */
  list(): RunningJob[] {
    return [...this.#running.values(), ...this.#done];
  }

  /** @throws FsError EBUSY when too many run, EOPNOTSUPP for `pin` where that cannot be done */
  start(request: CacheRequest): RunningJob {
    const { clock, logger } = this.#parts;
    if (request.action === 'pin') this.#checkPins();
    if (this.#running.size >= JOBS_MAX) throw new FsError('EBUSY', `${JOBS_MAX} jobs are running`);
    const ending = new AbortController();
    const { action, paths, parallel } = request;
    const job = new CacheJob({ ...this.#parts, action, parallel, signal: ending.signal });
    this.#last += 1;
    const running = {
      id: this.#last,
      action,
      paths: paths.length,
      startedAtMs: clock.nowMs(),
      endedAtMs: undefined as number | undefined,
      progress: job.progress,
      state: 'running' as RunningJob['state'],
      cancel: () => ending.abort(new FsError('EINTR', 'the job was cancelled')),
      ended: Promise.resolve(),
    };
    this.#running.set(running.id, running);
    this.#gauge.set(this.#running.size);
    logger.info({ job: running.id, action, paths: paths.length, parallel }, 'a cache job begins');
    running.ended = job.run(paths).then(
      () => this.#end(running, 'done'),
      (error: unknown) => this.#fail(running, ending.signal, error),
    );
    this.#armLog();
    return running;
  }

  #checkPins(): void {
    const { pins } = this.#parts;
    const why = pins === undefined ? 'this mount has no --passthrough' : pins.unfit;
    if (why !== undefined) throw new FsError('EOPNOTSUPP', `nothing can be pinned: ${why}`);
  }

  /** Cancels everything. */
  stop(): void {
    this.#logTimer?.cancel();
    for (const job of this.#running.values()) job.cancel();
  }

  #fail(job: Mutable, signal: AbortSignal, error: unknown): void {
    if (signal.aborted) {
      this.#end(job, 'cancelled');
      return;
    }
    const stack = error instanceof Error ? error.stack : String(error);
    this.#parts.logger.error({ job: job.id, stack }, 'bug: unforeseen failure of a cache job');
    this.#parts.metrics
      .counter({ name: 'bug_total', help: 'Failures that no code path foresees' })
      .add();
    job.progress.pathsFailed += 1;
    job.progress.note('', error);
    this.#end(job, 'done');
  }

  #end(job: Mutable, state: RunningJob['state']): void {
    job.state = state;
    job.endedAtMs = this.#parts.clock.nowMs();
    this.#running.delete(job.id);
    this.#done.unshift(job);
    this.#done.length = Math.min(this.#done.length, ENDED_MAX);
    this.#gauge.set(this.#running.size);
    const message = state === 'done' ? 'a cache job has ended' : 'a cache job was cancelled';
    this.#parts.logger.info(this.#fieldsOf(job), message);
  }

  #armLog(): void {
    this.#logTimer ??= this.#parts.clock.setTimer(LOG_INTERVAL_MS, () => {
      this.#logTimer = undefined;
      for (const job of this.#running.values()) {
        this.#parts.logger.info(this.#fieldsOf(job), 'a cache job goes on');
      }
      if (this.#running.size > 0) this.#armLog();
    });
  }

  #fieldsOf({ id, action, startedAtMs, progress }: RunningJob) {
    const { filesFound, filesDone, filesFailed, bytesFound, bytesDone, fetchedBytes } = progress;
    const { pathsFailed, failedBlocks, movedBlocks } = progress;
    const elapsedMs = Math.round(this.#parts.clock.nowMs() - startedAtMs);
    const counts = { filesFound, filesDone, filesFailed, pathsFailed, failedBlocks, movedBlocks };
    return { job: id, action, elapsedMs, ...counts, bytesFound, bytesDone, fetchedBytes };
  }
}
