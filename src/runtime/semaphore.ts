import { abortReason } from './deadline.ts';
import { CodedError } from './coded-error.ts';

/** The queue in front of a limited resource is full. */
export class QueueFullError extends CodedError<'queue-full'> {}

/** Lets at most `limit` holders in at once; the queue in front of it is bounded too. */
export class Semaphore {
  readonly #queueMax: number;
  #free: number;
  readonly #waiting = new Set<() => void>();

  /**
   * @param limit - holders at once, ≥ 1
   * @param queueMax - waiters at most; one more is refused with {@link QueueFullError}
   */
  constructor(limit: number, queueMax: number) {
    this.#free = limit;
    this.#queueMax = queueMax;
  }

  /** How many wait for a place. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** A place that is free right now; the function gives it back, once. */
  tryAcquire(): (() => void) | undefined {
    if (this.#free === 0) return undefined;
    this.#free -= 1;
    return this.#leaver();
  }

  /**
   * Waits for a place. The function that it resolves to gives the place back; later calls of it do
   * nothing.
   *
   * @throws QueueFullError (`queue-full`, retryable); the signal's reason when aborted
   */
  async acquire(signal?: AbortSignal): Promise<() => void> {
    if (signal?.aborted) throw abortReason(signal);
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(signal);
    if (signal?.aborted) {
      // Aborted between the turn and this line: whoever raced with the signal has left already.
      this.#giveBack();
      throw abortReason(signal);
    }
    return this.#leaver();
  }

  /** Runs `work` while holding a place. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const release = await this.acquire(signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiting.size >= this.#queueMax) {
      const message = `more than ${this.#queueMax} calls wait for a place`;
      throw new QueueFullError('queue-full', message, { retryable: true });
    }
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        this.#waiting.delete(enter);
        reject(abortReason(signal as AbortSignal));
      };
      this.#waiting.add(enter);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #leaver(): () => void {
    let held = true;
    return () => {
      if (held) this.#giveBack();
      held = false;
    };
  }

  #giveBack(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
