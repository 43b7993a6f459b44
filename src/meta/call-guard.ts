import type { Clock } from '../runtime/clock.ts';
import { abortReason } from '../runtime/deadline.ts';
import { MetaError } from './engine.ts';

/** A call that is under way. */
export interface GuardedCall {
  /** Aborted when nobody waits for the call any more. */
  readonly signal: AbortSignal;
  /** The same as `signal.aborted`, without making a signal. */
  readonly isOver: boolean;
  /** Set by retries, so that the deadline's error can say why nothing worked. */
  lastError: unknown;
}

/** What a call is about, for messages and metrics. */
export interface CallName {
  /** e.g. `lookup` */
  readonly op: string;
  /** What it concerns, e.g. an inode number. */
  readonly target: bigint | string;
}

/**
 * Lets no caller wait longer than a deadline or beyond its abort, whatever the work behind the call
 * does, and lets only so many calls be under way.
 *
 * All calls have the same time to live, so they expire in the order of their coming and one timer
 * serves them all: a timer for each would cost more than many of the calls.
 */
export class CallGuard {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #callsMax: number;
  readonly #waiting = new Set<WaitingCall>();
  #running = 0;
  #timerIsSet = false;

  /**
   * @param options - `timeoutMs` per call; `callsMax` works at once, also such as nobody waits for
   */
  constructor(options: { clock: Clock; timeoutMs: number; callsMax: number }) {
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    this.#callsMax = options.callsMax;
  }

  /**
   * Runs `work`.
   *
   * @throws MetaError `unavailable` at the deadline or when too many calls are under way; the
   *   signal's reason when aborted; what `work` throws
   */
  run<T>(name: CallName, signal: AbortSignal, work: (call: GuardedCall) => Promise<T>): Promise<T> {
    if (signal.aborted) return Promise.reject(abortReason(signal));
    if (this.#running >= this.#callsMax) {
      const message = `${describe(name)}: more than ${this.#callsMax} calls are under way`;
      return Promise.reject(new MetaError('unavailable', message, { retryable: true }));
    }
    return new Promise<T>((resolve, reject) => {
      const call = new WaitingCall(name, this.#clock.nowMs() + this.#timeoutMs, reject);
      const onAbort = () => call.end(abortReason(signal));
      const leave = () => {
        this.#running -= 1;
        this.#waiting.delete(call);
        signal.removeEventListener('abort', onAbort);
      };
      this.#running += 1;
      this.#waiting.add(call);
      this.#setTimer();
      signal.addEventListener('abort', onAbort, { once: true });
      work(call).then(
        (value) => {
          leave();
          resolve(value);
        },
        (error: unknown) => {
          leave();
          reject(error as Error);
        },
      );
    });
  }

  #setTimer(): void {
    const [first] = this.#waiting;
    if (this.#timerIsSet || first === undefined) return;
    this.#timerIsSet = true;
    const delayMs = Math.max(1, first.endsAtMs - this.#clock.nowMs());
    this.#clock.setTimer(delayMs, () => {
      this.#timerIsSet = false;
      this.#expire();
      this.#setTimer();
    });
  }

  #expire(): void {
    for (const call of this.#waiting) {
      if (call.endsAtMs > this.#clock.nowMs()) return;
      this.#waiting.delete(call);
      const message = `${describe(call.name)}: no answer within ${this.#timeoutMs} ms`;
      const cause = call.lastError;
      call.end(new MetaError('unavailable', message, { retryable: true, cause }));
    }
  }
}

class WaitingCall implements GuardedCall {
  readonly name: CallName;
  readonly endsAtMs: number;
  lastError: unknown;
  readonly #reject: (error: Error) => void;
  // Made on demand: most calls end before anybody asks.
  #controller: AbortController | undefined;
  #endedBy: Error | undefined;

  constructor(name: CallName, endsAtMs: number, reject: (error: Error) => void) {
    this.name = name;
    this.endsAtMs = endsAtMs;
    this.#reject = reject;
  }

  get isOver(): boolean {
    return this.#endedBy !== undefined;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#endedBy !== undefined) this.#controller.abort(this.#endedBy);
    return this.#controller.signal;
  }

  end(error: Error): void {
    this.#endedBy = error;
    this.#controller?.abort(error);
    this.#reject(error);
  }
}

function describe({ op, target }: CallName): string {
  return `${op} ${target}`;
}
