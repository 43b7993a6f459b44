import { Worker } from 'node:worker_threads';
import type { RunResult } from '../scenario/run-scenario.ts';
import type { Job } from './job.ts';

/**
 * CPU time per thread after which a seed hangs: most take a fifth of a second. Real time tells nothing on
 * a machine that others keep busy.
 */
const JOB_CPU_MS_MAX = 60_000;
/** Real time after which it hangs in any case: it may wait for something that never comes. */
const JOB_MS_MAX = 3_600_000;
const LOOK_MS = 500;

/** Runs jobs on threads of their own: simulations of different seeds have nothing in common. */
export class JobPool {
  readonly #workers: Worker[];
  readonly #cpuMsMax: number;

  /**
   * @param threads - ≥ 1
   * @param cpuMsMax - CPU time per thread after which a seed hangs
   */
  constructor(threads: number, cpuMsMax = JOB_CPU_MS_MAX) {
    this.#workers = Array.from({ length: threads }, newWorker);
    this.#cpuMsMax = cpuMsMax;
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
    // The process's time: a thread that never rests cannot be asked for its own.
    const result = await ask(worker, job, this.#cpuMsMax * this.#workers.length);
    if (result !== undefined) return result;
    await worker.terminate();
    this.#workers[number] = newWorker();
    return hungResult(job, this.#cpuMsMax);
  }
}

function newWorker(): Worker {
  return new Worker(new URL('./sim-worker.ts', import.meta.url));
}

/** @returns undefined when nothing has come after the process has worked for `cpuMsMax` */
function ask(worker: Worker, job: Job, cpuMsMax: number): Promise<RunResult | undefined> {
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    const before = process.cpuUsage();
    const look = () => {
      const { user, system } = process.cpuUsage(before);
      const isHung =
        (user + system) / 1000 >= cpuMsMax || performance.now() - startMs >= JOB_MS_MAX;
      if (isHung) settle(() => resolve(undefined));
    };
    const timer = setInterval(look, Math.min(LOOK_MS, cpuMsMax));
    const settle = (done: () => void) => {
      clearInterval(timer);
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
function hungResult({ scenario, seed }: Job, cpuMsMax: number): RunResult {
  const text = `the run did not end in ${cpuMsMax / 1000} s of CPU time, or in an hour`;
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
