/** A signal that is aborted with another one, or before it. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  abort(reason: Error): void;
  /** The outer signal is not listened to any more: to be called when what it would end is over. */
  unlink(): void;
}

/** @param outer - may be aborted already; its reason is handed on */
export function linkAbort(outer: AbortSignal): LinkedAbort {
  const controller = new AbortController();
  const onAbort = () => controller.abort(outer.reason);
  if (outer.aborted) onAbort();
  else outer.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink: () => outer.removeEventListener('abort', onAbort),
  };
}
