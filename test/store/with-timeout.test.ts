import { describe, expect, test } from 'vitest';
import { chunkStream } from '../../src/store/chunk-stream.ts';
import type { ObjectStore } from '../../src/store/object-store.ts';
import { withTimeout } from '../../src/store/with-timeout.ts';
import { manualClock, settle } from './manual-clock.ts';
import { readBody } from './read-body.ts';
import { bodyOf, never, scriptedStore } from './scripted-store.ts';

const TIMEOUTS = { getTimeoutMs: 60_000, idleTimeoutMs: 10_000, putTimeoutMs: 5_000 };
const { signal } = new AbortController();
const late = { name: 'StoreError', code: 'unavailable', retryable: true };

/** The state of a promise, without waiting for it. */
function watch(work: Promise<unknown>): { result: unknown } {
  const state = { result: 'pending' as unknown };
  work.then(
    (value) => void (state.result = value),
    (error: unknown) => void (state.result = error),
  );
  return state;
}

describe('with deadlines', () => {
  test('a store that ignores its signal cannot hold a caller up', async () => {
    const clock = manualClock();
    const stuck: ObjectStore = {
      ...scriptedStore(() => never()),
      head: () => never(),
      put: () => never(),
      delete: () => never(),
      list: () => ({ [Symbol.asyncIterator]: () => ({ next: () => never() }) }),
    };
    const store = withTimeout(stuck, clock, TIMEOUTS);
    const calls = {
      get: watch(store.get('k', undefined, signal)),
      head: watch(store.head('k', signal)),
      put: watch(store.put('k', new Uint8Array(1), signal)),
      delete: watch(store.delete('k', signal)),
      list: watch(Promise.resolve(store.list('k', signal)[Symbol.asyncIterator]().next())),
    };
    await clock.advance(4_999);
    expect(Object.values(calls).map(({ result }) => result)).toEqual(Array(5).fill('pending'));
    await clock.advance(1);
    expect(calls.put.result).toMatchObject({ ...late, message: 'PUT k: no answer within 5000 ms' });
    await clock.advance(54_999);
    expect(calls.get.result).toBe('pending');
    await clock.advance(1);
    for (const call of Object.values(calls)) expect(call.result).toMatchObject(late);
    expect(clock.timers).toBe(0);
  });

  test('a body may take long, but not be silent for long', async () => {
    const clock = manualClock();
    let deliver: (chunk: Uint8Array) => void = () => undefined;
    const slow = scriptedStore(async () => ({
      sizeBytes: 100,
      crc32c: 5,
      chunks: chunkStream({
        read: () => new Promise((resolve) => void (deliver = resolve)),
        close: () => Promise.resolve(),
      }),
    }));
    const body = await withTimeout(slow, clock, TIMEOUTS).get('k', undefined, signal);
    expect(body).toMatchObject({ sizeBytes: 100, crc32c: 5 });
    const chunks = body.chunks[Symbol.asyncIterator]();
    for (let round = 0; round < 20; round += 1) {
      const next = watch(Promise.resolve(chunks.next()));
      await clock.advance(9_999);
      expect(next.result).toBe('pending');
      deliver(new Uint8Array(1));
      await settle();
      expect(next.result).toMatchObject({ done: false });
      // A reader may take its time: only the store is hurried.
      await clock.advance(30_000);
    }
    const last = watch(Promise.resolve(chunks.next()));
    await clock.advance(10_000);
    expect(last.result).toMatchObject({ ...late, message: 'GET k: no answer within 10000 ms' });
    expect(slow.asked[0]?.signal.aborted).toBe(true);
    expect(clock.timers).toBe(0);
  });

  test('the same of a body that is read straight into memory', async () => {
    const clock = manualClock();
    let deliver: (readyBytes: number) => void = () => undefined;
    const inner = scriptedStore(async () => ({
      ...bodyOf([new Uint8Array(100)]),
      readInto: (_, onReady) => {
        deliver = onReady;
        return never();
      },
    }));
    const body = await withTimeout(inner, clock, TIMEOUTS).get('k', undefined, signal);
    const ready: number[] = [];
    const reading = watch(
      Promise.resolve(body.readInto?.(new Uint8Array(100), (count) => ready.push(count))),
    );
    for (const count of [1, 2, 50]) {
      await clock.advance(9_999);
      deliver(count);
    }
    await clock.advance(9_999);
    expect(reading.result).toBe('pending');
    await clock.advance(1);
    expect(reading.result).toMatchObject({ ...late, message: 'GET k: no answer within 10000 ms' });
    expect(ready).toEqual([1, 2, 50]);
    expect(inner.asked[0]?.signal.aborted).toBe(true);
    expect(clock.timers).toBe(0);
  });

  test('the caller can abort during the headers and during the body', async () => {
    const clock = manualClock();
    const reason = new Error('enough');
    const stuckBody = async () => ({
      sizeBytes: 1,
      crc32c: undefined,
      chunks: chunkStream({ read: () => never(), close: () => never() }),
    });
    const inner = scriptedStore(() => never(), stuckBody);
    const store = withTimeout(inner, clock, TIMEOUTS);
    const first = new AbortController();
    const headers = watch(store.get('k', undefined, first.signal));
    first.abort(reason);
    await settle();
    expect(headers.result).toBe(reason);
    const second = new AbortController();
    const body = await store.get('k', undefined, second.signal);
    const read = watch(readBody(body));
    await settle();
    second.abort(reason);
    await settle();
    expect(read.result).toBe(reason);
    expect(inner.asked.every((asked) => asked.signal.aborted)).toBe(true);
    expect(clock.timers).toBe(0);
  });

  test('a body that comes too late is closed', async () => {
    const clock = manualClock();
    let closed = 0;
    let answer: () => void = () => undefined;
    const inner = scriptedStore(async () => {
      await new Promise<void>((resolve) => void (answer = resolve));
      return bodyOf([new Uint8Array(3)], { onClose: () => (closed += 1) });
    });
    const call = watch(withTimeout(inner, clock, TIMEOUTS).get('k', undefined, signal));
    await clock.advance(60_000);
    expect(call.result).toMatchObject(late);
    answer();
    await settle();
    expect(closed).toBe(1);
  });

  test('a body that was aborted, or was too slow, is closed', async () => {
    for (const end of ['abort', 'deadline']) {
      const clock = manualClock();
      const controller = new AbortController();
      let closed = 0;
      const inner = scriptedStore(async () => ({
        ...bodyOf([]),
        chunks: chunkStream({
          read: () => never(),
          close: () => Promise.resolve(void (closed += 1)),
        }),
      }));
      const store = withTimeout(inner, clock, TIMEOUTS);
      const read = watch(readBody(await store.get('k', undefined, controller.signal)));
      await settle();
      if (end === 'abort') controller.abort(new Error('enough'));
      await clock.advance(10_000);
      expect(read.result).toBeInstanceOf(Error);
      expect(closed).toBe(1);
    }
  });

  test('a body that is to be read into memory when it was aborted already is closed', async () => {
    const controller = new AbortController();
    let closed = 0;
    let begun = 0;
    const inner = scriptedStore(async () => ({
      ...bodyOf([new Uint8Array(3)], { onClose: () => (closed += 1) }),
      readInto: () => Promise.resolve(void (begun += 1)),
    }));
    const store = withTimeout(inner, manualClock(), TIMEOUTS);
    const body = await store.get('k', undefined, controller.signal);
    controller.abort(new Error('enough'));
    await expect(body.readInto?.(new Uint8Array(3), () => undefined)).rejects.toThrow('enough');
    expect([begun, closed]).toEqual([0, 1]);
  });

  test('what goes well leaves no timer and no listener', async () => {
    const clock = manualClock();
    let closed = 0;
    const store = withTimeout(
      scriptedStore(async () =>
        bodyOf([new Uint8Array(3), new Uint8Array(4)], { onClose: () => (closed += 1) }),
      ),
      clock,
      TIMEOUTS,
    );
    const body = await store.get('k', undefined, signal);
    expect((await readBody(body)).length).toBe(7);
    const left = await store.get('k', undefined, signal);
    await left.chunks[Symbol.asyncIterator]().return?.();
    expect(closed).toBe(2);
    expect(clock.timers).toBe(0);
  });
});
