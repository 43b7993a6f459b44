import { abortReason } from './deadline.ts';

interface Waiter {
  readonly bytes: number;
  readonly enter: () => void;
}

/** A bound on bytes that are in use at once. Who asks first is served first. */
export class ByteBudget {
  readonly #limitBytes: number;
  readonly #waiting = new Set<Waiter>();
  #usedBytes = 0;

  /** @param limitBytes - > 0; something larger than that gets in alone */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes in use. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Waits for room. The function that it resolves to gives the room back; later calls do nothing.
   *
   * @throws the signal's reason when aborted
   */
  async acquire(bytes: number, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw abortReason(signal);
    if (this.#waiting.size > 0 || !this.#fits(bytes)) await this.#wait(bytes, signal);
    else this.#usedBytes += bytes;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#usedBytes -= bytes;
      this.#admit();
    };
  }

  #fits(bytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + bytes <= this.#limitBytes;
  }

  #wait(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.delete(waiter);
        // What stood behind a large one may fit now.
        this.#admit();
        reject(abortReason(signal));
      };
      const enter = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const waiter = { bytes, enter };
      this.#waiting.add(waiter);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #admit(): void {
    for (const waiter of this.#waiting) {
      if (!this.#fits(waiter.bytes)) return;
      this.#waiting.delete(waiter);
      this.#usedBytes += waiter.bytes;
      waiter.enter();
    }
  }
}
