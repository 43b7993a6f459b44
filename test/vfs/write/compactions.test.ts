import { describe, expect, it } from 'vitest';
import type { SliceRecord } from '../../../src/block/slice-record.ts';
import { toIno } from '../../../src/posix/ino.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { memoryMetrics } from '../../../src/runtime/metrics.ts';
import { Compactions } from '../../../src/vfs/write/compactions.ts';
import { manualClock } from '../../store/manual-clock.ts';

const INO = toIno(7n);

function setUp() {
  const begun: { chunk: string; signal: AbortSignal; end: PromiseWithResolvers<boolean> }[] = [];
  const moved: string[] = [];
  const clock = manualClock();
  const compactions = new Compactions({
    compactor: {
      compact: (ino, index, signal) => {
        const end = Promise.withResolvers<boolean>();
        begun.push({ chunk: `${ino}_${index}`, signal, end });
        return end.promise;
      },
    },
    onMoved: (ino, index) => void moved.push(`${ino}_${index}`),
    ...{ clock, logger: silentLogger, metrics: memoryMetrics() },
  });
  return { compactions, begun, moved, clock };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
const records = (count: number, len: number): SliceRecord[] =>
  Array.from({ length: count }, (_, at) => {
    return { pos: at * len, sliceId: BigInt(at + 1), size: len, off: 0, len };
  });

describe('chunks are compacted', () => {
  it('when a hundred records are full, and at each commit beyond 350', async () => {
    const { compactions, begun } = setUp();
    const counts = [98, 100, 350, 99, 199, 351];
    for (const [index, count] of counts.entries()) await compactions.noteCommit(INO, index, count);
    expect(begun.map(({ chunk }) => chunk)).toEqual(['7_3', '7_4', '7_5']);
  });

  it('when a reader meets five records that are better made one', () => {
    const { compactions, begun } = setUp();
    compactions.noteRead(INO, 0, records(4, 10), 4);
    compactions.noteRead(INO, 1, records(2, 10), 5);
    compactions.noteRead(INO, 2, records(5, 2 ** 23), 5);
    compactions.noteRead(INO, 3, records(5, 10), 5);
    expect(begun.map(({ chunk }) => chunk)).toEqual(['7_1', '7_3']);
  });

  it('one chunk once at a time, and four at once', async () => {
    const { compactions, begun, moved } = setUp();
    for (const index of [0, 0, 1, 2, 3, 4]) await compactions.noteCommit(INO, index, 400);
    expect(begun.map(({ chunk }) => chunk)).toEqual(['7_0', '7_1', '7_2', '7_3']);
    begun[0]?.end.resolve(true);
    begun[1]?.end.resolve(false);
    begun[2]?.end.reject(new Error('the object store is away'));
    await settle();
    expect(moved).toEqual(['7_0']);
    for (const index of [0, 3]) await compactions.noteCommit(INO, index, 400);
    expect(begun.map(({ chunk }) => chunk).slice(4)).toEqual(['7_0']);
  });

  it('before a writer with 2500 records goes on, but not for longer than a minute', async () => {
    const { compactions, begun, clock } = setUp();
    for (const late of [false, true]) {
      let isOn = false;
      void compactions.noteCommit(INO, 0, 2500).then(() => (isOn = true));
      await settle();
      expect(isOn).toBe(false);
      if (late) void clock.advance(60_000);
      else begun[0]?.end.resolve(true);
      await settle();
      expect(isOn).toBe(true);
    }
    expect(begun).toHaveLength(2);
  });

  it('none when the mount ends, and what is under way is given up at last', async () => {
    const { compactions, begun, clock } = setUp();
    await compactions.noteCommit(INO, 0, 400);
    const stopped = compactions.stop();
    await compactions.noteCommit(INO, 1, 2500);
    expect(begun).toHaveLength(1);
    expect(begun[0]?.signal.aborted).toBe(false);
    await settle();
    void clock.advance(5_000);
    await stopped;
    expect(begun[0]?.signal.aborted).toBe(true);
  });
});
