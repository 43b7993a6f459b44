import type { Clock } from '../runtime/clock.ts';
import { abortReason, withDeadline } from '../runtime/deadline.ts';

/** The next ones are fetched when fewer than this part of a batch is left. */
const REFILL_PART = 10;
const TIMEOUT_MS = 30_000;

/** What ids are taken from. */
export interface IdBatchOptions {
  readonly clock: Clock;
  /** Ids per request. */
  readonly count: number;
  /** Smaller ones are never handed out. */
  readonly first: bigint;
  /** @returns the first of `count` ids that nobody else has */
  take(count: number, signal: AbortSignal): Promise<bigint>;
}

/** Hands out ids that nobody else has; they come in batches, which are fetched ahead. */
export class IdBatch {
  readonly #options: IdBatchOptions;
  #next = 0n;
  #end = 0n;
  #spare: { next: bigint; end: bigint } | undefined;
  #fetching: Promise<void> | undefined;

  constructor(options: IdBatchOptions) {
    this.#options = options;
  }

  /** @throws MetaError, DeadlineError; the signal's reason when aborted */
  async take(signal: AbortSignal): Promise<bigint> {
    for (;;) {
      if (this.#next >= this.#end) this.#useSpare();
      if (this.#next < this.#end) {
        const id = this.#next;
        this.#next += 1n;
        const left = Number(this.#end - this.#next);
        if (left < this.#options.count / REFILL_PART) this.#fetchAhead();
        return id;
      }
      if (signal.aborted) throw abortReason(signal);
      await orAborted(this.#fetch(), signal);
    }
  }

  #useSpare(): void {
    if (this.#spare === undefined) return;
    this.#next = this.#spare.next;
    this.#end = this.#spare.end;
    this.#spare = undefined;
  }

  #fetchAhead(): void {
    if (this.#spare !== undefined || this.#fetching !== undefined) return;
    // Whoever needs the ids asks again and is told what is wrong.
    this.#fetch().catch(() => undefined);
  }

  /** One request for all that wait; nobody's abort ends it. */
  #fetch(): Promise<void> {
    this.#fetching ??= this.#request().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #request(): Promise<void> {
    const { clock, count, first } = this.#options;
    const wait = { what: 'a batch of ids', timeoutMs: TIMEOUT_MS };
    const start = await withDeadline(clock, wait, (signal) => this.#options.take(count, signal));
    const end = start + BigInt(count);
    this.#spare = { next: start < first ? first : start, end };
  }
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
