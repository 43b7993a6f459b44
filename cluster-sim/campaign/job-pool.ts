import { Worker } from 'node:worker_threads';
import type { RunResult } from '../scenario/run-scenario.ts';
import { type Job, replayCommand } from './job.ts';

/** Real time after which a seed hangs: most take a fifth of a second. */
const JOB_TIMEOUT_MS = 120_000;

/** Runs jobs on threads of their own: simulations of different seeds have nothing in common. */
export class JobPool {
  readonly #workers: Worker[];

  /** @param threads - ≥ 1 */
  constructor(threads: number) {
    this.#workers = Array.from(
      { length: threads },
      () => new Worker(new URL('./sim-worker.ts', import.meta.url)),
    );
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
    const work = async (worker: Worker) => {
      while (!isOver) {
        const next = jobs.next();
        if (next.done === true) return;
        const result = await ask(worker, next.value);
        if (!onResult(next.value, result)) isOver = true;
      }
    };
    await Promise.all(this.#workers.map(work));
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

function ask(worker: Worker, job: Job): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const text = `a seed did not end in ${JOB_TIMEOUT_MS} ms: ${replayCommand(job)}`;
    const timer = setTimeout(() => settle(() => reject(new Error(text))), JOB_TIMEOUT_MS);
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
