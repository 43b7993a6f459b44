import { afterAll, describe, expect, it } from 'vitest';
import { startRedis } from '../servers/redis.ts';
import { startRedisCluster } from '../servers/redis-cluster.ts';
import { startRedisSentinel } from '../servers/redis-sentinel.ts';

const stops: (() => Promise<void>)[] = [];

afterAll(async () => {
  for (const stop of stops) await stop();
});

describe('a Redis server', () => {
  it('keeps its port and its data over a restart', async () => {
    const redis = await startRedis();
    stops.push(redis.stop);
    await redis.command('SET', 'setting', 'kept');
    const pidBefore = redis.pid();
    await redis.restart();
    expect(await redis.command('GET', 'setting')).toBe('kept');
    expect(redis.pid()).not.toBe(pidBefore);
  });

  it('forgets what was not saved when it is killed', async () => {
    const redis = await startRedis();
    stops.push(redis.stop);
    await redis.command('SET', 'setting', 'lost');
    await redis.kill();
    await redis.start();
    expect(await redis.command('EXISTS', 'setting')).toBe('0');
  });

  it('asks for the password and carries it in its URL', async () => {
    const redis = await startRedis({ password: 'p@ss' });
    stops.push(redis.stop);
    expect(await redis.command('PING')).toBe('PONG');
    expect(redis.url).toBe(`redis://:p%40ss@127.0.0.1:${redis.port}/0`);
  });

  it('tells why it did not start', async () => {
    const start = startRedis({ args: ['--no-such-option', 'x'] });
    await expect(start).rejects.toThrow('no-such-option');
  });
});

describe('several Redis servers', () => {
  it('form a cluster that serves all slots', async () => {
    const cluster = await startRedisCluster();
    stops.push(cluster.stop);
    const info = await cluster.nodes[1]?.command('CLUSTER', 'INFO');
    expect(info).toContain('cluster_slots_assigned:16384');
    expect(cluster.url).toMatch(
      /^redis:\/\/127\.0\.0\.1:\d+,127\.0\.0\.1:\d+,127\.0\.0\.1:\d+\/0$/,
    );
  });

  it('fail over when a sentinel is told to', async () => {
    const group = await startRedisSentinel();
    stops.push(group.stop);
    expect(await group.primaryPort()).toBe(group.primary.port);
    await group.failOver();
    expect(await group.primaryPort()).toBe(group.replica.port);
  });
});
