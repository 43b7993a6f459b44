import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MetaEngine } from '../../src/meta/engine.ts';
import { ROOT_INO } from '../../src/posix/ino.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { testEngine } from '../contract/meta-engine-options.ts';
import { loadFixture, type LoadedFixture } from '../servers/fixtures.ts';
import type { RedisServer } from '../servers/redis.ts';

const signal = new AbortController().signal;
const DEADLINE_MS = 1500;
/** Above the deadline by what a busy machine may need; far below any hang. */
const LATE_MS = DEADLINE_MS + 15_000;
const DATA = new TextEncoder().encode('data');

describe('Redis away', () => {
  let fixture: LoadedFixture;
  let redis: RedisServer;
  let engine: MetaEngine;
  const metrics = memoryMetrics();

  beforeEach(async () => {
    fixture = await loadFixture('acl');
    redis = fixture.redis as RedisServer;
    engine = testEngine(redis.url, { deadlineMs: DEADLINE_MS, metrics });
    await engine.start();
  });
  afterEach(async () => {
    redis.thaw();
    await engine.stop();
    await fixture.stop();
  });

  /** An engine that waits for longer than a server takes to start on a busy machine. */
  const patiently = async (work: (patient: MetaEngine) => Promise<void>) => {
    const patient = testEngine(redis.url, { deadlineMs: 30_000 });
    await patient.start();
    try {
      await work(patient);
    } finally {
      await patient.stop();
    }
  };

  const failsInTime = async (call: Promise<unknown>) => {
    const startedMs = performance.now();
    await expect(call).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    expect(performance.now() - startedMs).toBeLessThan(LATE_MS);
  };

  it('fails at the deadline while the server is dead and works again afterwards', async () => {
    await redis.stop({ save: true });
    await Promise.all([
      failsInTime(engine.getattr(ROOT_INO, signal)),
      failsInTime(engine.lookup(ROOT_INO, DATA, signal)),
      failsInTime(engine.readdir(ROOT_INO, { cursor: undefined, withAttrs: true }, signal)),
      failsInTime(engine.usage(signal)),
    ]);
    expect(metrics.value('meta_errors', { code: 'unavailable' })).toBeGreaterThanOrEqual(4);
    await redis.start();
    await expect.poll(() => engine.getattr(ROOT_INO, signal)).toBeDefined();
  });

  it('answers calls that were made during a short outage', async () => {
    await patiently(async (patient) => {
      await redis.command('SAVE');
      await redis.kill();
      const call = patient.getattr(ROOT_INO, signal);
      await redis.start();
      expect(await call).toBeDefined();
    });
  });

  it('repeats calls whose connection breaks before the answer', async () => {
    await patiently(async (patient) => {
      await redis.command('SAVE');
      redis.freeze();
      const calls = Array.from({ length: 200 }, () => patient.getattr(ROOT_INO, signal));
      const all = Promise.all(calls);
      await redis.kill();
      await redis.start();
      expect((await all).every((attr) => attr !== undefined)).toBe(true);
    });
  });

  it('fails at the deadline while the server accepts but does not answer', async () => {
    redis.freeze();
    await failsInTime(engine.getattr(ROOT_INO, signal));
    await failsInTime(engine.lookup(ROOT_INO, DATA, signal));
    redis.thaw();
    await expect.poll(() => engine.getattr(ROOT_INO, signal)).toBeDefined();
  });

  it('ends a waiting call at once when it is aborted', async () => {
    await redis.kill();
    const controller = new AbortController();
    const call = engine.getattr(ROOT_INO, controller.signal);
    const reason = new Error('interrupted');
    setImmediate(() => controller.abort(reason));
    await expect(call).rejects.toBe(reason);
  });

  it('refuses calls beyond a bound instead of keeping them', async () => {
    redis.freeze();
    const calls = Array.from({ length: 9000 }, () => engine.getattr(ROOT_INO, signal));
    const results = await Promise.allSettled(calls);
    const messages = results.map((result) =>
      result.status === 'rejected' ? String(result.reason.message) : '',
    );
    expect(messages.some((message) => message.includes('are under way'))).toBe(true);
    expect(messages.every((message) => message !== '')).toBe(true);
    redis.thaw();
    await expect.poll(() => engine.getattr(ROOT_INO, signal)).toBeDefined();
  });

  it('stops in time while the server is away', async () => {
    await redis.kill();
    const call = engine.getattr(ROOT_INO, signal);
    const failure = call.catch((error: unknown) => error);
    await engine.stop();
    expect(await failure).toMatchObject({ code: 'unavailable' });
  });

  it('does not start without a server, and starts later', async () => {
    await redis.stop({ save: true });
    const other = testEngine(redis.url, { deadlineMs: 500 });
    await failsInTime(other.start());
    await redis.start();
    await other.start();
    expect(await other.getattr(ROOT_INO, signal)).toBeDefined();
    await other.stop();
  });
});
