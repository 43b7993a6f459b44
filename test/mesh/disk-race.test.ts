import { describe, expect, test } from 'vitest';
import { isInTime, raceDisk } from '../../src/mesh/disk-race.ts';
import type { BlockBytes } from '../../src/mesh/loader.ts';
import { manualClock, settle } from '../store/manual-clock.ts';

const LATE_MS = 150;

function setUp() {
  const clock = manualClock();
  const disk = Promise.withResolvers<BlockBytes | undefined>();
  const other = Promise.withResolvers<BlockBytes>();
  const seen = { asked: 0, late: 0, released: [] as string[] };
  let otherSignal: AbortSignal | undefined;
  const controller = new AbortController();
  const bytesOf = (from: 'disk' | 'peer'): BlockBytes => ({
    bytes: new Uint8Array(1),
    from,
    release: () => void seen.released.push(from),
  });
  const race = {
    clock,
    lateMs: LATE_MS,
    signal: controller.signal,
    onLate: () => void (seen.late += 1),
    beyond: (signal: AbortSignal) => {
      seen.asked += 1;
      otherSignal = signal;
      return other.promise;
    },
  };
  const won = raceDisk(disk.promise, race);
  won.catch(() => undefined);
  return { clock, disk, other, seen, controller, bytesOf, won, signal: () => otherSignal };
}

describe('a block that lies on disk', () => {
  test('is asked of nobody else while the disk is in time', async () => {
    const { clock, disk, seen, bytesOf, won } = setUp();
    await clock.advance(LATE_MS - 1);
    disk.resolve(bytesOf('disk'));
    expect((await won).from).toBe('disk');
    expect(seen).toEqual({ asked: 0, late: 0, released: [] });
    expect(clock.timers).toBe(0);
  });

  test('comes from elsewhere when the disk is late, whose bytes are given back when they come', async () => {
    const { clock, disk, other, seen, bytesOf, won } = setUp();
    await clock.advance(LATE_MS);
    expect(seen).toMatchObject({ asked: 1, late: 1 });
    other.resolve(bytesOf('peer'));
    expect((await won).from).toBe('peer');
    disk.resolve(bytesOf('disk'));
    await settle();
    expect(seen.released).toEqual(['disk']);
  });

  test('comes from a late disk when that is first after all, and the other request ends', async () => {
    const { clock, disk, other, seen, bytesOf, won, signal } = setUp();
    await clock.advance(LATE_MS);
    disk.resolve(bytesOf('disk'));
    expect((await won).from).toBe('disk');
    expect(signal()?.aborted).toBe(true);
    other.resolve(bytesOf('peer'));
    await settle();
    expect(seen.released).toEqual(['peer']);
  });

  test('comes from a late disk when nobody else can give it', async () => {
    const { clock, disk, other, bytesOf, won } = setUp();
    await clock.advance(LATE_MS);
    other.reject(new Error('the origin is away'));
    await settle();
    disk.resolve(bytesOf('disk'));
    expect((await won).from).toBe('disk');
  });

  test('fails as the others do when the disk cannot give it either', async () => {
    const { clock, disk, other, won } = setUp();
    await clock.advance(LATE_MS);
    disk.resolve(undefined);
    other.reject(new Error('the origin is away'));
    await expect(won).rejects.toThrow('the origin is away');
  });

  test('is asked of nobody any more when its reader leaves', async () => {
    const { clock, controller, won, other, disk, signal } = setUp();
    await clock.advance(LATE_MS);
    controller.abort(new Error('interrupted'));
    expect(signal()?.aborted).toBe(true);
    other.reject(new Error('interrupted'));
    disk.reject(new Error('interrupted'));
    await expect(won).rejects.toThrow('interrupted');
  });
});

test('a tier without a disk needs no timer', async () => {
  const clock = manualClock();
  const never = new Promise(() => undefined);
  expect(await isInTime(never, { clock, lateMs: Number.POSITIVE_INFINITY })).toBe(true);
  expect(clock.timers).toBe(0);
});
