import { describe, expect, it } from 'vitest';
import { CallGuard } from '../../src/meta/call-guard.ts';
import type { Clock } from '../../src/runtime/clock.ts';

const NAME = { op: 'getattr', target: 1n };
const never = () => new Promise<never>(() => undefined);

/** Time that goes on only when it is told to. */
function handClock(): Clock & { advance(ms: number): void; timers(): number } {
  let nowMs = 0;
  const timers = new Set<{ atMs: number; run: () => void }>();
  return {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    setTimer: (delayMs, run) => {
      const timer = { atMs: nowMs + delayMs, run };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    advance: (ms) => {
      nowMs += ms;
      for (const timer of [...timers].filter(({ atMs }) => atMs <= nowMs)) {
        timers.delete(timer);
        timer.run();
      }
    },
    timers: () => timers.size,
  };
}

describe('CallGuard', () => {
  const { signal } = new AbortController();

  it('gives what the work gives', async () => {
    const guard = new CallGuard({ clock: handClock(), timeoutMs: 100, callsMax: 1 });
    expect(await guard.run(NAME, signal, async () => 17)).toBe(17);
    const error = new Error('of the work');
    await expect(guard.run(NAME, signal, () => Promise.reject(error))).rejects.toBe(error);
  });

  it('ends each call at its own deadline, with one timer for all', async () => {
    const clock = handClock();
    const guard = new CallGuard({ clock, timeoutMs: 100, callsMax: 10 });
    const cause = new Error('refused connection');
    const first = guard.run(NAME, signal, (call) => {
      call.lastError = cause;
      return never();
    });
    clock.advance(60);
    let secondEnded = false;
    const second = guard.run(NAME, signal, never).catch((error: unknown) => {
      secondEnded = true;
      return error;
    });
    expect(clock.timers()).toBe(1);
    clock.advance(40);
    await expect(first).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
      message: 'getattr 1: no answer within 100 ms',
      cause,
    });
    expect(secondEnded).toBe(false);
    clock.advance(60);
    expect(await second).toMatchObject({ code: 'unavailable' });
  });

  it('tells the work that nobody waits any more', async () => {
    const clock = handClock();
    const guard = new CallGuard({ clock, timeoutMs: 100, callsMax: 10 });
    let inner: AbortSignal | undefined;
    const early = guard.run(NAME, signal, (call) => {
      inner = call.signal;
      return never();
    });
    const failure = early.catch((error: unknown) => error);
    expect(inner?.aborted).toBe(false);
    clock.advance(100);
    expect(await failure).toMatchObject({ code: 'unavailable' });
    expect(inner?.aborted).toBe(true);
    let late: boolean | undefined;
    const controller = new AbortController();
    const call = guard.run(NAME, controller.signal, async (own) => {
      await Promise.resolve();
      late = own.isOver && own.signal.aborted;
    });
    controller.abort(new Error('stop'));
    await expect(call).rejects.toThrow('stop');
    await Promise.resolve();
    expect(late).toBe(true);
  });

  it('counts works that nobody waits for until they end', async () => {
    const clock = handClock();
    const guard = new CallGuard({ clock, timeoutMs: 100, callsMax: 1 });
    let finish: (() => void) | undefined;
    const work = () => new Promise<void>((resolve) => void (finish = resolve));
    const hanging = guard.run(NAME, signal, work);
    const failure = hanging.catch((error: unknown) => error);
    clock.advance(100);
    expect(await failure).toMatchObject({ code: 'unavailable' });
    await expect(guard.run(NAME, signal, async () => 1)).rejects.toThrow('under way');
    finish?.();
    await Promise.resolve();
    await Promise.resolve();
    expect(await guard.run(NAME, signal, async () => 1)).toBe(1);
  });

  it('does not run the work of a call that is aborted already', async () => {
    const guard = new CallGuard({ clock: handClock(), timeoutMs: 100, callsMax: 1 });
    let ran = false;
    const reason = new Error('interrupted');
    const call = guard.run(NAME, AbortSignal.abort(reason), async () => {
      ran = true;
    });
    await expect(call).rejects.toBe(reason);
    expect(ran).toBe(false);
  });
});
