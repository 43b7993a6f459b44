import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { backoffMs } from '../../src/store/backoff.ts';
import { type ObjectStore, StoreError } from '../../src/store/object-store.ts';
import { shardBucket, shardedStore } from '../../src/store/sharded-store.ts';
import { withLimit } from '../../src/store/with-limit.ts';
import { withMetrics } from '../../src/store/with-metrics.ts';
import { withRetry } from '../../src/store/with-retry.ts';
import { manualClock, settle } from './manual-clock.ts';
import { collect, readBody } from './read-body.ts';
import { bodyOf, never, scriptedStore } from './scripted-store.ts';

const { signal } = new AbortController();
const later = () => Promise.reject(new StoreError('unavailable', 'later', { retryable: true }));
const gone = () => Promise.reject(new StoreError('not-found', 'gone'));
const fine = async () => bodyOf([new Uint8Array(10)]);

describe('with retries', () => {
  function setUp(store: ObjectStore) {
    const clock = manualClock();
    const metrics = memoryMetrics();
    const options = { attempts: 3, backoff: { baseMs: 100, maxMs: 1000 }, clock, metrics };
    return {
      clock,
      metrics,
      store: withRetry(store, { ...options, random: systemRandom, logger: silentLogger }),
    };
  }

  test('repeats what may be repeated until it works', async () => {
    const inner = scriptedStore(later, later, fine);
    const { clock, metrics, store } = setUp(inner);
    const call = store.get('k', undefined, signal);
    await clock.advance(300);
    expect((await call).sizeBytes).toBe(10);
    expect(inner.asked).toHaveLength(3);
    expect(metrics.value('object_request_retries')).toBe(2);
  });

  test('gives up after the last attempt', async () => {
    const inner = scriptedStore(later);
    const { clock, store } = setUp(inner);
    const call = store.get('k', undefined, signal);
    call.catch(() => undefined);
    await clock.advance(10_000);
    await expect(call).rejects.toMatchObject({ message: 'later' });
    expect(inner.asked).toHaveLength(3);
  });

  test('does not repeat what cannot change', async () => {
    const inner = scriptedStore(gone);
    await expect(setUp(inner).store.get('k', undefined, signal)).rejects.toThrow('gone');
    expect(inner.asked).toHaveLength(1);
  });

  test('aborting ends the pause', async () => {
    const controller = new AbortController();
    const { clock, store } = setUp(scriptedStore(later));
    const call = store.get('k', undefined, controller.signal);
    await settle();
    expect(clock.timers).toBe(1);
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    expect(clock.timers).toBe(0);
  });

  test('pauses grow, within bounds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(1000), (attempt, chance) => {
        const random = { ...systemRandom, below: (limit: number) => Math.min(chance, limit - 1) };
        const full = Math.min(1000, 100 * 2 ** (attempt - 1));
        const pauseMs = backoffMs({ baseMs: 100, maxMs: 1000 }, attempt, random);
        expect(pauseMs).toBeGreaterThanOrEqual(full / 2);
        expect(pauseMs).toBeLessThanOrEqual(full);
      }),
    );
  });
});

describe('with a limit', () => {
  const options = { downloadsMax: 2, uploadsMax: 1, queueMax: 2, queueTimeoutMs: 1000 };

  test('a place is kept until the body has ended, and then passed on', async () => {
    const inner = scriptedStore(fine);
    const store = withLimit(inner, { ...options, clock: manualClock() });
    const first = await store.get('1', undefined, signal);
    const second = await store.get('2', undefined, signal);
    const third = store.get('3', undefined, signal);
    const fourth = store.get('4', undefined, signal);
    await settle();
    expect(inner.asked).toHaveLength(2);
    await expect(store.get('5', undefined, signal)).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
    });
    await readBody(first);
    await third;
    await second.chunks[Symbol.asyncIterator]().return?.();
    await fourth;
    expect(inner.asked.map(({ key }) => key)).toEqual(['1', '2', '3', '4']);
  });

  test('failures give their place back', async () => {
    const broken = async () => ({
      ...bodyOf([]),
      chunks: { [Symbol.asyncIterator]: () => ({ next: () => later() }) },
    });
    const inner = scriptedStore(gone, gone, gone, broken, broken, broken, fine);
    const store = withLimit(inner, { ...options, clock: manualClock() });
    for (let round = 0; round < 3; round += 1) {
      await expect(store.get('k', undefined, signal)).rejects.toThrow('gone');
    }
    for (let round = 0; round < 3; round += 1) {
      const body = await store.get('k', undefined, signal);
      await expect(readBody(body)).rejects.toThrow('later');
    }
    expect((await store.get('k', undefined, signal)).sizeBytes).toBe(10);
  });

  test('nobody waits for a place longer than allowed', async () => {
    const clock = manualClock();
    const store = withLimit({ ...scriptedStore(), put: () => never() }, { ...options, clock });
    const stuck = store.put('1', new Uint8Array(1), signal);
    stuck.catch(() => undefined);
    const waiting = store.put('2', new Uint8Array(1), signal);
    waiting.catch(() => undefined);
    await clock.advance(1000);
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  });
});

describe('with metrics', () => {
  test('counts requests, bytes and failures by method', async () => {
    const metrics = memoryMetrics();
    const inner = { ...scriptedStore(fine, gone), put: () => Promise.resolve() };
    const store = withMetrics(inner, manualClock(), metrics);
    await readBody(await store.get('k', undefined, signal));
    await expect(store.get('k', undefined, signal)).rejects.toThrow('gone');
    await store.put('k', new Uint8Array(7), signal);
    expect(await collect(store.list('k', signal))).toEqual([]);
    const requests = (method: string) =>
      metrics.value('object_request_durations_histogram_seconds', { method });
    expect(['GET', 'PUT', 'LIST', 'HEAD'].map(requests)).toEqual([2, 1, 1, 0]);
    expect(metrics.value('object_request_data_bytes', { method: 'GET' })).toBe(10);
    expect(metrics.value('object_request_data_bytes', { method: 'PUT' })).toBe(7);
    expect(metrics.value('object_request_errors')).toBe(1);
  });

  test('counts bytes that are read straight into memory, and what came before a failure', async () => {
    const metrics = memoryMetrics();
    const directly = (failure?: Error) => async () => ({
      ...bodyOf([new Uint8Array(10)]),
      readInto: async (_: Uint8Array, onReady: (readyBytes: number) => void) => {
        onReady(4);
        if (failure !== undefined) throw failure;
        onReady(10);
      },
    });
    const broken = new StoreError('unavailable', 'broken', { retryable: true });
    const store = withMetrics(scriptedStore(directly(), directly(broken)), manualClock(), metrics);
    const read = async () => {
      const { readInto } = await store.get('k', undefined, signal);
      await readInto?.(new Uint8Array(10), () => undefined);
    };
    await read();
    expect(metrics.value('object_request_data_bytes', { method: 'GET' })).toBe(10);
    await expect(read()).rejects.toBe(broken);
    expect(metrics.value('object_request_data_bytes', { method: 'GET' })).toBe(14);
    expect(metrics.value('object_request_errors')).toBe(1);
  });

  test('what the caller aborted is no failure of the store', async () => {
    const metrics = memoryMetrics();
    const controller = new AbortController();
    const inner = scriptedStore(({ signal: own }) => {
      controller.abort(new Error('enough'));
      return Promise.reject(own.reason as Error);
    });
    const store = withMetrics(inner, manualClock(), metrics);
    await expect(store.get('k', undefined, controller.signal)).rejects.toThrow('enough');
    expect(metrics.value('object_request_errors')).toBe(0);
  });
});

describe('shards', () => {
  test('an object goes to the store that JuiceFS would choose', async () => {
    const stores = Array.from({ length: 4 }, () => scriptedStore(fine));
    const store = shardedStore(stores);
    await store.get('jfstest/chunks/0/0/1_0_4194304', undefined, signal);
    await store.get('jfstest/chunks/0/12/12345_1_4194304', undefined, signal);
    expect(stores.map(({ asked }) => asked.length)).toEqual([1, 0, 1, 0]);
  });

  test('listings are merged by key', async () => {
    const listing = (...keys: string[]): ObjectStore => ({
      ...scriptedStore(),
      async *list() {
        for (const key of keys) yield { key, sizeBytes: 0, modifiedAtMs: 0 };
      },
    });
    const store = shardedStore([listing('a', 'd', 'e'), listing(), listing('b', 'c', 'f')]);
    const items = await collect(store.list('', signal));
    expect(items.map(({ key }) => key).join('')).toBe('abcdef');
  });

  test('the bucket is a pattern', () => {
    expect(shardBucket('http://h/b-%d', 12)).toBe('http://h/b-12');
    for (const pattern of ['http://h/b', 'http://h/%d/%d']) {
      expect(() => shardBucket(pattern, 0)).toThrow('needs one %d');
    }
  });
});
