import fc from 'fast-check';
import { expect, it } from 'vitest';
import { planCompaction } from '../../src/block/compaction-plan.ts';
import { resolveSlices } from '../../src/block/read-plan.ts';
import type { SliceRecord } from '../../src/block/slice-record.ts';

const M = 2 ** 20;
const record = (pos: number, id: number, size: number, len = size): SliceRecord => ({
  ...{ pos, sliceId: BigInt(id), size, off: 0, len },
});

it('compacts what overlaps into one', () => {
  const records = [
    record(10 * M, 10, 30 * M),
    record(20 * M, 11, 16 * M),
    record(16 * M, 12, 10 * M),
  ];
  const plan = planCompaction(records);
  expect(plan).toMatchObject({ skipped: 0, pos: 10 * M, size: 30 * M });
  expect(plan?.pieces.map(({ sliceId, len }) => [Number(sliceId), len / M])).toEqual([
    [10, 6],
    [12, 10],
    [11, 10],
    [10, 4],
  ]);
});

it('leaves a large slice in front where it is', () => {
  const records = [record(0, 20, 2 * M), record(2 * M, 21, 1000), record(2 * M + 1000, 22, 1000)];
  expect(planCompaction(records)).toMatchObject({ skipped: 1, pos: 2 * M, size: 2000 });
});

it('of nothing but a hole one byte remains', () => {
  const plan = planCompaction([record(0, 20, 2 * M), record(0, 0, 0, 2 * M)]);
  expect(plan).toMatchObject({ skipped: 0, pos: 0, size: 1 });
  expect(plan?.pieces).toHaveLength(1);
});

it('one record is as compact as can be', () => {
  expect(planCompaction([])).toBeUndefined();
  expect(planCompaction([record(0, 1, 10)])).toBeUndefined();
});

it('what is read afterwards is the same', () => {
  const some = fc.record({
    ...{
      pos: fc.nat(40),
      id: fc.nat(6),
      len: fc.integer({ min: 1, max: 20 }),
      large: fc.boolean(),
    },
  });
  fc.assert(
    fc.property(fc.array(some, { maxLength: 12 }), (parts) => {
      const records = parts.map(({ pos, id, len, large }) => {
        const unit = large ? M : 1000;
        return record(pos * unit, id, 20 * unit, len * unit);
      });
      const plan = planCompaction(records);
      const after =
        plan === undefined
          ? records
          : [...records.slice(0, plan.skipped), record(plan.pos, 99, plan.size)];
      expect(flat(after, plan?.pieces ?? [])).toEqual(flat(records, []));
    }),
  );
});

/** What every range of the chunk shows, holes left out; the new slice stands for its pieces. */
function flat(records: readonly SliceRecord[], made: readonly { pos: number; len: number }[]) {
  const [start = 0] = made.map(({ pos }) => pos);
  const sources = made as readonly (SliceRecord & { pos: number })[];
  const shown: string[] = [];
  const show = (pos: number, id: bigint, off: number, len: number) => {
    const last = shown.at(-1)?.split(' ').map(Number);
    if (id === 0n) return;
    const [at = 0, lastId = 0, lastOff = 0, lastLen = 0] = last ?? [];
    const joins =
      last && at + lastLen === pos && BigInt(lastId) === id && lastOff + lastLen === off;
    if (joins) shown[shown.length - 1] = `${at} ${id} ${lastOff} ${lastLen + len}`;
    else shown.push(`${pos} ${id} ${off} ${len}`);
  };
  for (const { pos, len, sliceId, off } of resolveSlices(records)) {
    if (sliceId !== 99n) {
      show(pos, sliceId, off, len);
      continue;
    }
    for (const source of sources) {
      const from = Math.max(source.pos, start + off);
      const to = Math.min(source.pos + source.len, start + off + len);
      if (from < to) show(from, source.sliceId, source.off + from - source.pos, to - from);
    }
  }
  return shown;
}
