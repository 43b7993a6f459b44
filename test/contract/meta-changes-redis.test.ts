import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Changes } from '../../src/meta/change-stream.ts';
import type { WritableEngine } from '../../src/meta/writable-engine.ts';
import { ROOT_INO } from '../../src/posix/ino.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { waitUntil } from '../servers/wait-until.ts';
import { testEngine } from './meta-engine-options.ts';

const ORDERED = 300;

/** Everything that a stream told, in order. */
class Heard {
  readonly changes: Changes[] = [];
  provenAtMs = Number.NEGATIVE_INFINITY;
  proofs = 0;
  losses = 0;
  isAlive = false;

  changed(changes: Changes): void {
    this.changes.push(changes);
  }

  proven(atMs: number): void {
    this.proofs += 1;
    this.provenAtMs = atMs;
    this.isAlive = true;
  }

  lost(): void {
    this.losses += 1;
    this.isAlive = false;
  }

  get attrs(): bigint[] {
    return this.changes.flatMap(({ attrs }) => attrs);
  }

  get names(): bigint[] {
    return this.changes.flatMap(({ names }) => names);
  }
}

describe('changes of a volume in Redis', () => {
  let redis: RedisServer;
  let client: Redis;
  let engine: WritableEngine;
  let heard: Heard;
  let end: () => void;

  beforeAll(async () => {
    redis = await startRedis();
    client = new Redis(redis.url);
    client.on('error', () => undefined);
  });
  afterAll(async () => {
    client?.disconnect();
    await redis?.stop();
  });
  beforeEach(async () => {
    await client.set('setting', '{}');
    engine = testEngine(redis.url);
    await engine.start();
    heard = new Heard();
    end = engine.changes?.subscribe(heard) ?? (() => undefined);
    await waitUntil('the stream to live', () => heard.isAlive);
    return async () => {
      end();
      await engine.stop();
    };
  });

  /** Until the stream has told all that was done before. */
  const untilProven = () => {
    const nowMs = systemClock.nowMs();
    return waitUntil('a proof', () => heard.provenAtMs >= nowMs);
  };

  test('are told: attributes and directories, whoever makes them, and nothing else', async () => {
    await client.set('i12', 'attribute');
    await client.hset('d1', 'name', 'edge');
    await client.hset('dirUsedSpace', '1', '4096');
    await client.set('i12x', '');
    await client.rpush('c12_0', 'slice');
    await client.select(0);
    await client.del('i12', 'd1');
    await client.set('i9223372032828243968', 'the trash');
    await untilProven();
    expect(new Set(heard.attrs)).toEqual(new Set([12n, 9223372032828243968n]));
    expect(new Set(heard.names)).toEqual(new Set([1n]));
    expect(heard.losses).toBe(0);
  });

  test(`are told before a proof that was asked for when they were done, ${ORDERED} times`, async () => {
    const provenWithout: number[] = [];
    for (let ino = 1; ino <= ORDERED; ino += 1) {
      await client.set(`i${ino}`, String(ino));
      const doneAtMs = systemClock.nowMs();
      // Hardly ever does a proof come right then; when one does, it must not come alone.
      const wasHeard = heard.attrs.includes(BigInt(ino));
      if (!wasHeard && heard.provenAtMs > doneAtMs) provenWithout.push(ino);
    }
    expect(provenWithout).toEqual([]);
    await untilProven();
    expect(new Set(heard.attrs).size).toBe(ORDERED);
  });

  test('go on after the connection was cut, and the loss is told', async () => {
    expect(await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBe(1);
    await waitUntil('the loss', () => heard.losses === 1);
    await waitUntil('the stream to live again', () => heard.isAlive);
    await client.set('i77', 'again');
    await untilProven();
    expect(heard.attrs).toContain(77n);
  });

  test('are lost when the database is emptied, and when the server is silent or restarts', async () => {
    await client.flushall();
    await waitUntil('the loss of everything', () => heard.losses === 1);
    await waitUntil('the stream to live on', () => heard.isAlive);
    redis.freeze();
    try {
      await waitUntil('the silence to be noticed', () => heard.losses === 2);
    } finally {
      redis.thaw();
    }
    await waitUntil('the stream to live after the silence', () => heard.isAlive);
    await redis.restart();
    await waitUntil('the restart to be noticed', () => heard.losses === 3);
    await waitUntil('the stream to live after the restart', () => heard.isAlive);
    await client.set('i78', 'again');
    await untilProven();
    expect(heard.attrs).toContain(78n);
  });

  test('are lost when the server is silent while we get to run late each time, too', async () => {
    const setTimer: Clock['setTimer'] = (delayMs, run) => systemClock.setTimer(delayMs + 60, run);
    const clock = { ...systemClock, setTimer };
    // So long that it cannot be the connection's own silence that is noticed.
    const late = testEngine(redis.url, { clock, deadlineMs: 600_000 });
    await late.start();
    const lately = new Heard();
    const stop = late.changes?.subscribe(lately);
    try {
      await waitUntil('the stream to live', () => lately.proofs > 3);
      expect(lately.losses).toBe(0);
      redis.freeze();
      await waitUntil('the silence to be noticed', () => lately.losses > 0, 20_000);
    } finally {
      redis.thaw();
      stop?.();
      await late.stop();
    }
  });

  test('are not listened to when there are too many', async () => {
    for (let made = 0; heard.losses === 0 && made < 5_000; made += 1) await client.set('i5', made);
    await waitUntil('the loss', () => heard.losses === 1);
    expect(heard.changes.length).toBeGreaterThan(500);
    const clients = async () => String(await client.client('LIST', 'TYPE', 'PUBSUB')).trim();
    await waitUntil('the connection to end', async () => (await clients()) === '');
    expect(heard.isAlive).toBe(false);
  });

  test('are not listened to when there are too many for as many mounts', async () => {
    const mounts = Array.from({ length: 1_000 }, (_, sid) => [sid, String(sid)]).flat();
    await client.zadd('allSessions', ...mounts);
    const few = new Heard();
    const endFew = engine.changes?.subscribe(few);
    await waitUntil('the stream to live', () => few.isAlive);
    // Five a second for each of a thousand.
    const loss = async () => {
      await client.set('i5', 'again');
      return few.losses > 0;
    };
    await waitUntil('the loss', loss);
    endFew?.();
    await client.del('allSessions');
    expect(few.changes.length).toBeLessThan(300);
    expect(heard.losses).toBe(0);
  });

  test('end with the subscription', async () => {
    end();
    const { proofs } = heard;
    const clients = async () => String(await client.client('LIST', 'TYPE', 'PUBSUB')).trim();
    await waitUntil('the connection to end', async () => (await clients()) === '');
    expect(heard.isAlive).toBe(false);
    expect(heard.proofs).toBe(proofs);
  });

  test('are not told to a user who must not track, whose engine works', async () => {
    const rights = ['on', '>pw', '~*', '&*', '+@all', '-client|tracking'];
    await client.call('ACL', 'SETUSER', 'limited', ...rights);
    const metrics = memoryMetrics();
    const url = redis.url.replace('redis://', 'redis://limited:pw@');
    const limited = testEngine(url, { metrics });
    await limited.start();
    const unheard = new Heard();
    const stop = limited.changes?.subscribe(unheard);
    try {
      const info = async () => String(await client.call('ACL', 'LOG'));
      await waitUntil('the refusal', async () => (await info()).includes('limited'));
      await client.set('i5', Buffer.alloc(81));
      expect(await limited.getattr(ROOT_INO, new AbortController().signal)).toBeUndefined();
      expect(unheard.proofs).toBe(0);
      expect(metrics.value('meta_changes_alive')).toBe(0);
    } finally {
      stop?.();
      await limited.stop();
    }
  });

  test('are not asked for when the URL says so', async () => {
    for (const [query, expiryMs, sizeMax] of [
      ['?client-cache=false', undefined, undefined],
      ['?client-cache=true&client-cache-expire=1m30s', 90_000, undefined],
      ['?client_cache_size=500', 60_000, 500],
      ['', 60_000, undefined],
    ] as const) {
      const other = testEngine(`${redis.url}${query}`);
      await other.start();
      expect(other.changes?.expiryMs).toBe(expiryMs);
      expect(other.changes?.sizeMax).toBe(sizeMax);
      await other.stop();
    }
    expect(() => testEngine(`${redis.url}?client-cache-expire=soon`)).toThrow(/no duration/);
    expect(() => testEngine(`${redis.url}?client-cache-size=much`)).toThrow(/no number/);
  });
});
