import type { Clock } from './clock.ts';
import { CodedError } from './coded-error.ts';

/** A wait took longer than it was allowed to. */
export class DeadlineError extends CodedError<'deadline'> {}

/** Resolves after `delayMs`, or rejects with the signal's reason as soon as it is aborted. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortReason(signal));
      return;
    }
    const onAbort = () => {
      timer.cancel();
      reject(abortReason(signal as AbortSignal));
    };
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * Runs `work` with a signal that is aborted after `timeoutMs` or together with `signal`.
 *
 * The promise settles at the deadline even when `work` ignores its signal, so no caller can hang.
 *
 * @param what - names the wait in the error, e.g. `GET chunks/0/0/1_0_4`
 * @throws DeadlineError (`deadline`, retryable) after `timeoutMs`; the signal's reason when aborted
 */
export async function withDeadline<T>(
  clock: Clock,
  options: { what: string; timeoutMs: number; signal?: AbortSignal | undefined },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { what, timeoutMs, signal } = options;
  if (signal?.aborted) throw abortReason(signal);
  const controller = new AbortController();
  let onAbort: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(abortReason(controller.signal)), {
      once: true,
    });
  });
  stopped.catch(() => undefined);
  const timer = clock.setTimer(timeoutMs, () => controller.abort(missed(what, timeoutMs)));
  if (signal !== undefined) {
    onAbort = () => controller.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  }
  try {
    return await Promise.race([work(controller.signal), stopped]);
  } finally {
    timer.cancel();
    if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Waits for work that cannot be ended: at the deadline, or when the signal is aborted, the wait ends
 * and the work goes on unheard. Cheaper than {@link withDeadline}, which makes a signal for its work.
 *
 * @throws DeadlineError (`deadline`, retryable) after `timeoutMs`; the signal's reason when aborted;
 *   what the work throws
 */
export function waitWithin<T>(
  clock: Clock,
  options: { what: string; timeoutMs: number; signal?: AbortSignal | undefined },
  work: Promise<T>,
): Promise<T> {
  const { what, timeoutMs, signal } = options;
  return new Promise((resolve, reject) => {
    const end = () => {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (error: unknown) => {
      end();
      reject(error as Error);
    };
    const onAbort = () => fail(abortReason(signal as AbortSignal));
    const timer = clock.setTimer(timeoutMs, () => fail(missed(what, timeoutMs)));
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    work.then((value) => {
      end();
      resolve(value);
    }, fail);
  });
}

/**
 * Whether a promise settles within `ms`, which may be infinite. Does not reject, and ends nothing: the
 * promise is the caller's.
 */
export async function settlesWithin(
  promise: Promise<unknown>,
  clock: Clock,
  ms: number,
): Promise<boolean> {
  const settled = promise.then(
    () => true,
    () => true,
  );
  if (ms === Number.POSITIVE_INFINITY) return await settled;
  const over = Promise.withResolvers<boolean>();
  const timer = clock.setTimer(ms, () => over.resolve(false));
  try {
    return await Promise.race([settled, over.promise]);
  } finally {
    timer.cancel();
  }
}

/** The error to throw for an aborted signal: its reason when that is an error. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}

function missed(what: string, timeoutMs: number): DeadlineError {
  const message = `${what}: no answer within ${timeoutMs} ms`;
  return new DeadlineError('deadline', message, { retryable: true });
}
