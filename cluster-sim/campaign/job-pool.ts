import { Worker } from 'node:worker_threads';
import type { RunResult } from '../scenario/run-scenario.ts';
import type { Job } from './job.ts';

/** Real time after which a seed hangs: most take a fifth of a second. */
const JOB_TIMEOUT_MS = 120_000;

/** Runs jobs on threads of their own: simulations of different seeds have nothing in common. */
export class JobPool {
  readonly #workers: Worker[];
  readonly #timeoutMs: number;

  /**
   * @param threads - ≥ 1
   * @param timeoutMs - real time after which a seed hangs
   */
  constructor(threads: number, timeoutMs = JOB_TIMEOUT_MS) {
    this.#workers = Array.from({ length: threads }, newWorker);
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Runs jobs as they come, in any order.
   *
   * @param onResult - told of each; @returns false to begin no more
   * @throws what a thread ends with: a bug of the simulator
   */
  async run(
    jobs: Iterator<Job>,
    onResult: (job: Job, result: RunResult) => boolean,
  ): Promise<void> {
    let isOver = false;
    const work = async (number: number) => {
      while (!isOver) {
        const next = jobs.next();
        if (next.done === true) return;
        const result = await this.#ask(number, next.value);
        if (!onResult(next.value, result)) isOver = true;
      }
    };
    await Promise.all([...this.#workers.keys()].map(work));
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /** @returns the job's result; that of a job that hangs is a violation, and its thread another one */
  async #ask(number: number, job: Job): Promise<RunResult> {
    const worker = this.#workers[number] as Worker;
    const result = await ask(worker, job, this.#timeoutMs);
    if (result !== undefined) return result;
    await worker.terminate();
    this.#workers[number] = newWorker();
    return hungResult(job, this.#timeoutMs);
  }
}

function newWorker(): Worker {
  return new Worker(new URL('./sim-worker.ts', import.meta.url));
}

/** @returns undefined when nothing has come after `timeoutMs` */
function ask(worker: Worker, job: Job, timeoutMs: number): Promise<RunResult | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(() => resolve(undefined)), timeoutMs);
    const settle = (done: () => void) => {
      clearTimeout(timer);
      worker.off('message', onMessage);
      worker.off('error', onError);
      done();
    };
    const onMessage = (result: RunResult) => settle(() => resolve(result));
    const onError = (error: unknown) =>
      settle(() => reject(error instanceof Error ? error : new Error(String(error))));
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.postMessage(job);
  });
}

/** What is known of a run that never ended: code that loops without letting an event happen. */
function hungResult({ scenario, seed }: Job, timeoutMs: number): RunResult {
  const text = `the run did not end in ${timeoutMs / 1000} s of real time`;
  return {
    scenario,
    seed,
    hash: '',
    violations: [{ check: 'everything ends', text }],
    tail: [],
    events: 0,
    virtualMs: 0,
    reads: 0,
    longestMs: 0,
    originFetches: 0,
    agreedMs: undefined,
  };
}
