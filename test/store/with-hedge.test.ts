import { describe, expect, test } from 'vitest';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { type ObjectBody, StoreError } from '../../src/store/object-store.ts';
import { withHedge } from '../../src/store/with-hedge.ts';
import { manualClock, settle } from './manual-clock.ts';
import { readBody } from './read-body.ts';
import { type Asked, bodyOf, scriptedStore } from './scripted-store.ts';

const { signal } = new AbortController();
const bytesOf = (value: number) => bodyOf([new Uint8Array(3).fill(value)]);
const failing = () => Promise.reject(new StoreError('unavailable', 'no', { retryable: true }));
/** Never answers, and ends when it is told to. */
const hanging = ({ signal: own }: Asked) =>
  new Promise<ObjectBody>((_, reject) => {
    own.addEventListener('abort', () => reject(own.reason as Error), { once: true });
  });

const clock = manualClock();

/** Answers after so long. */
function late(ms: number, value: number): Promise<ObjectBody> {
  return new Promise((resolve) => void clock.setTimer(ms, () => resolve(bytesOf(value))));
}

function setUp(...answers: Parameters<typeof scriptedStore>) {
  const metrics = memoryMetrics();
  const inner = scriptedStore(...answers);
  const options = { getTimeoutMs: 60_000, clock, metrics, logger: silentLogger };
  const hedges = (outcome: string) => metrics.value('object_request_hedges', { outcome });
  return { inner, hedges, options, store: withHedge(inner, options) };
}

describe('a GET whose answer does not come', () => {
  test('is made once more after a second, and the late one is aborted', async () => {
    const { store, inner, hedges } = setUp(hanging, async () => bytesOf(2));
    const call = store.get('k', { offset: 1, length: 3 }, signal);
    await clock.advance(999);
    expect(inner.asked).toHaveLength(1);
    await clock.advance(1);
    expect([...(await readBody(await call))]).toEqual([2, 2, 2]);
    expect(inner.asked.map(({ range }) => range?.offset)).toEqual([1, 1]);
    expect(inner.asked.map((asked) => asked.signal.aborted)).toEqual([true, false]);
    expect(hedges('won')).toBe(1);
  });

  test('is taken when it comes first after all, and the other answer is closed', async () => {
    const { store, inner, hedges } = setUp(
      () => late(1_200, 1),
      () => late(5_000, 2),
    );
    const call = store.get('k', undefined, signal);
    await clock.advance(1_200);
    expect([...(await readBody(await call))]).toEqual([1, 1, 1]);
    expect(inner.asked[1]?.signal.aborted).toBe(true);
    expect(hedges('lost')).toBe(1);
  });

  test('is made three times more at most', async () => {
    const { store, inner } = setUp(hanging);
    const controller = new AbortController();
    const call = store.get('k', undefined, controller.signal);
    call.catch(() => undefined);
    await clock.advance(50_000);
    expect(inner.asked).toHaveLength(4);
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    expect(inner.asked.every((asked) => asked.signal.aborted)).toBe(true);
  });

  test('fails when all requests have failed, with the error of the first one', async () => {
    const { store, hedges } = setUp(hanging, failing);
    const controller = new AbortController();
    const call = store.get('k', undefined, controller.signal);
    call.catch(() => undefined);
    await clock.advance(4_000);
    controller.abort(new Error('the first one'));
    await expect(call).rejects.toThrow('the first one');
    expect(hedges('failed')).toBeGreaterThan(0);
  });

  test('is not made again where its time-out is as short', async () => {
    const { inner, options } = setUp(hanging);
    const store = withHedge(inner, { ...options, getTimeoutMs: 1_000 });
    store.get('k', undefined, signal).catch(() => undefined);
    await clock.advance(30_000);
    expect(inner.asked).toHaveLength(1);
  });
});

describe('a slow object store', () => {
  test('is not asked twice once it is known to be slow', async () => {
    const { store, inner } = setUp(() => late(2_500, 1));
    for (let round = 0; round < 200; round += 1) {
      const call = store.get('k', undefined, signal);
      await clock.advance(2_500);
      await call;
    }
    expect(inner.asked.length).toBeLessThan(204);
  });

  test('gets 5 % more requests and a burst of 16 when it stops to answer', async () => {
    const { store, inner, hedges } = setUp(hanging);
    const controller = new AbortController();
    for (let request = 0; request < 200; request += 1) {
      store.get('k', undefined, controller.signal).catch(() => undefined);
    }
    await clock.advance(30_000);
    expect(inner.asked.length).toBeLessThanOrEqual(200 + 16);
    expect(hedges('denied')).toBeGreaterThan(0);
    controller.abort(new Error('over'));
    await settle();
  });

  test('may lose many requests when each further one is answered at once', async () => {
    let asked = 0;
    const { store, hedges } = setUp((question) => {
      asked += 1;
      return asked % 2 === 1 ? hanging(question) : Promise.resolve(bytesOf(1));
    });
    for (let round = 0; round < 100; round += 1) {
      const call = store.get('k', undefined, signal);
      await clock.advance(1_000);
      await readBody(await call);
    }
    expect([hedges('won'), hedges('denied')]).toEqual([100, 0]);
  });
});
