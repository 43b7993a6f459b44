import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReadSessions } from '../../src/vfs/read-sessions.ts';

const BLOCK = 1000;
const limits = { blockBytes: BLOCK, maxBytes: 8 * BLOCK, budgetBytes: 1e6, usedBytes: 0 };

function reader(changes: Partial<typeof limits> = {}) {
  const sessions = new ReadSessions();
  let nowMs = 0;
  const read = (offset: number, length: number) => {
    nowMs += 1;
    return sessions.note({ offset, length, nowMs }, { ...limits, ...changes });
  };
  return { sessions, read };
}

describe('read sessions', () => {
  test('a stream from the beginning reads ahead at once and doubles up to the maximum', () => {
    const { read } = reader();
    const windows: number[] = [];
    for (let at = 0; at < 40 * BLOCK; at += BLOCK)
      windows.push(read(at, BLOCK).session.windowBytes);
    expect(windows.slice(0, 5)).toEqual([1000, 2000, 4000, 8000, 8000]);
    expect(windows.at(-1)).toBe(8000);
  });

  test('a stream in the middle is believed at its second read', () => {
    const { read } = reader();
    expect(read(50_000, 100).session.windowBytes).toBe(0);
    expect(read(50_100, 100).session.windowBytes).toBe(BLOCK);
  });

  test('two interleaved streams are told apart, a third takes the place of the older one', () => {
    const { read } = reader();
    const a = read(0, 100).session;
    const b = read(500_000, 100).session;
    expect(read(100, 100).session).toBe(a);
    expect(read(500_100, 100).session).toBe(b);
    const third = read(900_000, 100);
    expect(third.replaced).toBe(a);
    expect(read(500_200, 100).session).toBe(b);
  });

  test('reads that come a little out of order stay in their stream', () => {
    const { read } = reader();
    const { session } = read(0, 400);
    for (const at of [800, 400, 1200]) expect(read(at, 400).session).toBe(session);
    expect(session.lastOffset).toBe(1600);
  });

  test('random reads never open a window', () => {
    const far = fc.uniqueArray(fc.integer({ min: 1, max: 10_000 }), { maxLength: 50 });
    fc.assert(
      fc.property(far, (places) => {
        const { read } = reader();
        for (const place of places) {
          expect(read(place * 10 * BLOCK, 100).session.windowBytes).toBe(0);
        }
      }),
    );
  });

  test('a scarce budget stops the growth and halves the window', () => {
    const { read } = reader({ usedBytes: 1e6 });
    expect(read(0, BLOCK).session.windowBytes).toBe(BLOCK);
    expect(read(BLOCK, BLOCK).session.windowBytes).toBe(BLOCK / 2);
  });
});
