import { expect, test } from 'vitest';
import { waitWithin } from '../../src/runtime/deadline.ts';
import { ManualClock, settle } from '../vfs/manual-clock.ts';

const what = 'an answer';

test('what comes in time is handed on, be it good or bad', async () => {
  const clock = new ManualClock();
  const good = waitWithin(clock, { what, timeoutMs: 10 }, Promise.resolve(7));
  expect(await good).toBe(7);
  const error = new Error('no');
  const bad = waitWithin(clock, { what, timeoutMs: 10 }, Promise.reject(error));
  await expect(bad).rejects.toBe(error);
  expect(clock.pending).toBe(0);
});

test('the wait ends at its deadline, and what fails later is heard by nobody', async () => {
  const clock = new ManualClock();
  const work = Promise.withResolvers<never>();
  const waiting = waitWithin(clock, { what, timeoutMs: 10 }, work.promise);
  clock.advance(10);
  await expect(waiting).rejects.toMatchObject({ code: 'deadline', retryable: true });
  work.reject(new Error('too late'));
  await settle();
});

test('an aborted signal ends the wait, before it or while it lasts', async () => {
  const clock = new ManualClock();
  const work = new Promise<never>(() => undefined);
  const reason = new Error('enough');
  const controller = new AbortController();
  const { signal } = controller;
  const waiting = waitWithin(clock, { what, timeoutMs: 10, signal }, work);
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(waitWithin(clock, { what, timeoutMs: 10, signal }, work)).rejects.toBe(reason);
});
