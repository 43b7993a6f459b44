import { abortReason } from '../runtime/deadline.ts';

/**
 * Passes an abort on, but not while something is being committed: then the caller is told what came
 * of it.
 */
export class CommitGate {
  readonly #outer: AbortSignal;
  readonly #inner = new AbortController();
  #isCommitting = false;
  readonly #onAbort = () => {
    if (!this.#isCommitting) this.#inner.abort(abortReason(this.#outer));
  };

  constructor(outer: AbortSignal) {
    this.#outer = outer;
    outer.addEventListener('abort', this.#onAbort, { once: true });
    if (outer.aborted) this.#onAbort();
  }

  /** What waits go by. */
  get signal(): AbortSignal {
    return this.#inner.signal;
  }

  /** Whether a commit is under way. */
  get isCommitting(): boolean {
    return this.#isCommitting;
  }

  /**
   * Does what must not be interrupted. An abort that came meanwhile takes effect when it has failed.
   *
   * @throws the abort's reason when it came before; what `work` throws
   */
  async commit<T>(work: () => Promise<T>): Promise<T> {
    if (this.#outer.aborted) throw abortReason(this.#outer);
    this.#isCommitting = true;
    const value = await work().finally(() => {
      this.#isCommitting = false;
    });
    return value;
  }

  /** To be called in the end. */
  close(): void {
    this.#outer.removeEventListener('abort', this.#onAbort);
  }
}
