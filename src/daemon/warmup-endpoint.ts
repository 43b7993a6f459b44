import type { Clock } from '../runtime/clock.ts';
import { sleep } from '../runtime/deadline.ts';
import type { CacheJobs, CacheRequest, RunningJob } from '../vfs/warm/cache-jobs.ts';
import type { CacheAction } from '../vfs/warm/cache-progress.ts';
import type { ControlQuestion } from './control-socket.ts';
import { UsageError } from './quantities.ts';
import { type WarmupLine, warmupLine } from './warmup-line.ts';

const LINE_INTERVAL_MS = 1_000;
const ACTIONS: readonly CacheAction[] = ['warm', 'pin', 'check', 'evict'];
/** Paths of one request; the command line sends more in turn. */
export const PATHS_MAX = 10_000;
/** Blocks that one node fetches at once, at most. */
export const PARALLEL_MAX = 1_000;

/** What the command line asks for. */
export interface WarmupQuestion extends CacheRequest {
  /** Answer at once and go on alone. */
  readonly background: boolean;
}

/** The daemon's side of `cachemesh warmup`. */
export class WarmupEndpoint {
  readonly #jobs: CacheJobs;
  readonly #clock: Clock;

  constructor(jobs: CacheJobs, clock: Clock) {
    this.#jobs = jobs;
    this.#clock = clock;
  }

  /**
   * With `?cancel=<job>`, or `?cancel=all`: ends jobs. Without a body: a line about each job, running or ended lately. With a body: begins a job and
   * yields a line a second until it has ended; when the asker goes before, the job is cancelled.
   *
   * @throws UsageError for a body that makes no sense; FsError EBUSY when too many jobs run, EOPNOTSUPP
   */
  async answer({ url, body, signal }: ControlQuestion): Promise<unknown> {
    if (url.searchParams.has('cancel')) return this.#cancel(url.searchParams.get('cancel'));
    if (body === undefined) return { jobs: this.#jobs.list().map((job) => this.#line(job)) };
    const question = parseQuestion(body);
    const job = this.#jobs.start(question);
    if (question.background) return lines([this.#line(job, 'started')]);
    signal.addEventListener('abort', () => job.cancel(), { once: true });
    if (signal.aborted) job.cancel();
    return this.#follow(job);
  }

  #cancel(which: string | null): { cancelled: number } {
    const isMeant = ({ id, state }: RunningJob) =>
      state === 'running' && (which === 'all' || which === String(id));
    const jobs = this.#jobs.list().filter(isMeant);
    for (const job of jobs) job.cancel();
    return { cancelled: jobs.length };
  }

  async *#follow(job: RunningJob): AsyncGenerator<WarmupLine> {
    const ended = new AbortController();
    void job.ended.then(() => ended.abort());
    // At once, so that the asker knows which job to cancel.
    yield this.#line(job, 'progress');
    while (job.state === 'running') {
      await sleep(this.#clock, LINE_INTERVAL_MS, ended.signal).catch(() => undefined);
      if (job.state === 'running') yield this.#line(job);
    }
    yield this.#line(job);
  }

  #line(job: RunningJob, type?: 'started' | 'progress'): WarmupLine {
    const { id, action, state, startedAtMs, endedAtMs, progress } = job;
    const elapsedMs = Math.round((endedAtMs ?? this.#clock.nowMs()) - startedAtMs);
    const head = { type: type ?? (state === 'running' ? ('progress' as const) : ('end' as const)) };
    return warmupLine({ ...head, action, state, job: id, elapsedMs }, progress);
  }
}

async function* lines(all: readonly WarmupLine[]): AsyncGenerator<WarmupLine> {
  yield* all;
}

function parseQuestion(body: unknown): WarmupQuestion {
  const { action, paths, parallel, background } = body as Partial<
    Record<keyof WarmupQuestion, unknown>
  >;
  const known = ACTIONS.find((each) => each === action);
  if (known === undefined) throw new UsageError(`no such action: ${String(action)}`);
  const isList = Array.isArray(paths) && paths.length > 0 && paths.length <= PATHS_MAX;
  if (!isList || !paths.every((path) => typeof path === 'string')) {
    throw new UsageError('the paths are missing, or too many');
  }
  if (!Number.isInteger(parallel) || Number(parallel) < 1 || Number(parallel) > PARALLEL_MAX) {
    throw new UsageError('parallel is not a whole number from 1 to 1000');
  }
  return {
    action: known,
    paths: paths as string[],
    parallel: Number(parallel),
    background: background === true,
  };
}
