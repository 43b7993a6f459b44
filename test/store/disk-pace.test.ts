import { describe, expect, test } from 'vitest';
import { DiskPace } from '../../src/store/disk-pace.ts';
import { manualClock, settle } from './manual-clock.ts';

describe('the pace of a cache disk', () => {
  test('decides when a read is late, within 150 ms and a second', () => {
    const pace = new DiskPace(manualClock());
    expect(pace.lateMs).toBe(150);
    for (let read = 0; read < 100; read += 1) pace.observe(1);
    expect(pace.lateMs).toBe(150);
    for (let read = 0; read < 300; read += 1) pace.observe(100);
    expect(pace.lateMs).toBeGreaterThan(300);
    expect(pace.lateMs).toBeLessThan(400);
    for (let read = 0; read < 300; read += 1) pace.observe(10_000);
    expect(pace.lateMs).toBe(1_000);
  });

  test('a disk hangs when three calls do not return, and no more when one of them does', async () => {
    const clock = manualClock();
    const pace = new DiskPace(clock);
    const calls = [0, 1, 2].map(() => Promise.withResolvers<void>());
    for (const { promise } of calls) pace.follow(promise);
    await clock.advance(499);
    expect(pace.isHanging).toBe(false);
    await clock.advance(1);
    expect(pace.isHanging).toBe(true);
    calls[1]?.reject(new Error('EIO'));
    await settle();
    expect(pace.isHanging).toBe(false);
  });

  test('many calls that are under way are no hanging disk', async () => {
    const clock = manualClock();
    const pace = new DiskPace(clock);
    for (let call = 0; call < 2; call += 1) pace.follow(new Promise(() => undefined));
    await clock.advance(60_000);
    for (let call = 0; call < 100; call += 1) pace.follow(new Promise(() => undefined));
    expect(pace.isHanging).toBe(false);
  });
});
