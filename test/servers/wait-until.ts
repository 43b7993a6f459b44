import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks again and again until the answer is yes.
 *
 * @param what - names the awaited state in the error
 * @param condition - may throw, which counts as no; the last error becomes the cause
 * @param timeoutMs - gives up after this time
 * @throws Error when the time is over
 */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      if (await condition()) return;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > endMs) throw new Error(`timed out waiting for: ${what}`, { cause });
    await sleep(20);
  }
}
