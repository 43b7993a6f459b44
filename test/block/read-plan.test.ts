import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Piece,
  planRead,
  type ReadStep,
  resolveSlices,
  SliceRecordError,
} from '../../src/block/read-plan.ts';
import type { SliceRecord } from '../../src/block/slice-record.ts';

const MIB = 2 ** 20;

/** A byte of the chunk is named by slice and offset in it; 0n:0 is a hole. */
function overlay(records: readonly SliceRecord[]): string[] {
  const bytes: string[] = [];
  for (const { pos, len, sliceId, off } of records.filter(({ len }) => len > 0)) {
    while (bytes.length < pos + len) bytes.push('hole');
    for (let at = 0; at < len; at += 1) {
      bytes[pos + at] = sliceId === 0n ? 'hole' : `${sliceId}:${off + at}`;
    }
  }
  return bytes;
}

function spell(pieces: readonly Piece[]): string[] {
  return pieces.flatMap(({ len, sliceId, off }) =>
    Array.from({ length: len }, (_, at) => (sliceId === 0n ? 'hole' : `${sliceId}:${off + at}`)),
  );
}

function spellSteps(steps: readonly ReadStep[], blockBytes: number): string[] {
  return steps.flatMap((step) =>
    Array.from({ length: step.at.length }, (_, at) => {
      if (step.key === undefined) return 'hole';
      const inSlice = step.key.index * blockBytes + step.inBlock.offset + at;
      return `${step.key.sliceId}:${inSlice}`;
    }),
  );
}

/** Records of distinct slices (and holes) on a chunk of 64 bytes. */
const records = fc
  .array(
    fc.record({
      pos: fc.nat(50),
      len: fc.nat(14),
      off: fc.nat(9),
      more: fc.nat(9),
      isHole: fc.boolean(),
    }),
    { maxLength: 30 },
  )
  .map((rows) =>
    rows.map(({ pos, len, off, more, isHole }, index) => ({
      pos,
      len,
      off,
      size: off + len + more,
      sliceId: isHole && index % 3 === 0 ? 0n : BigInt(index + 1),
    })),
  );

describe('resolving slice records', () => {
  test('the example of the format description', () => {
    const list = [
      { pos: 10 * MIB, sliceId: 10n, size: 30 * MIB, off: 0, len: 30 * MIB },
      { pos: 20 * MIB, sliceId: 11n, size: 16 * MIB, off: 0, len: 16 * MIB },
      { pos: 16 * MIB, sliceId: 12n, size: 10 * MIB, off: 0, len: 10 * MIB },
    ];
    const row = (...[pos, sliceId, size, off, len]: [number, bigint, number, number, number]) => ({
      pos: pos * MIB,
      sliceId,
      size: size * MIB,
      off: off * MIB,
      len: len * MIB,
    });
    expect(resolveSlices(list)).toEqual([
      row(0, 0n, 10, 0, 10),
      row(10, 10n, 30, 0, 6),
      row(16, 12n, 10, 0, 10),
      row(26, 11n, 16, 6, 10),
      row(36, 10n, 30, 26, 4),
    ]);
  });

  test('no records give no pieces', () => {
    expect(resolveSlices([])).toEqual([]);
    expect(resolveSlices([{ pos: 5, sliceId: 1n, size: 9, off: 0, len: 0 }])).toEqual([]);
  });

  test('a record of zeros hides what is older and nothing that is newer', () => {
    const data = (sliceId: bigint) => ({ pos: 0, sliceId, size: 10, off: 0, len: 10 });
    const zeros = { pos: 2, sliceId: 0n, size: 0, off: 0, len: 3 };
    expect(spell(resolveSlices([data(1n), zeros]))).toEqual(overlay([data(1n), zeros]));
    expect(resolveSlices([zeros, data(1n)])).toEqual([data(1n)]);
  });

  test('equals laying bytes over each other one by one', () => {
    fc.assert(
      fc.property(records, (list) => {
        const pieces = resolveSlices(list);
        expect(spell(pieces)).toEqual(overlay(list));
        let end = 0;
        for (const piece of pieces) {
          expect(piece.pos).toBe(end);
          expect(piece.len).toBeGreaterThan(0);
          end += piece.len;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('copes with the longest lists that clients leave', () => {
    const list = Array.from({ length: 20_000 }, (_, index) => ({
      pos: (index * 7919) % 60_000_000,
      sliceId: BigInt(index + 1),
      size: 100_000,
      off: 0,
      len: 100_000,
    }));
    const pieces = resolveSlices(list);
    expect(pieces.at(-1)?.sliceId).not.toBe(0n);
    expect(pieces.length).toBeLessThanOrEqual(2 * list.length + 1);
  });
});

describe('planning a read', () => {
  const range = fc.record({ offset: fc.nat(70), length: fc.integer({ min: 1, max: 40 }) });

  test('names the same bytes as the overlay, in blocks of the right length', () => {
    fc.assert(
      fc.property(records, range, fc.integer({ min: 1, max: 9 }), (list, asked, blockBytes) => {
        const steps = planRead(resolveSlices(list), asked, blockBytes);
        const bytes = overlay(list);
        const wanted = Array.from(
          { length: asked.length },
          (_, at) => bytes[asked.offset + at] ?? 'hole',
        );
        expect(spellSteps(steps, blockBytes)).toEqual(wanted);
        expectWellFormed(steps, { list, asked, blockBytes });
      }),
      { numRuns: 2000 },
    );
  });

  function expectWellFormed(
    steps: readonly ReadStep[],
    {
      list,
      asked,
      blockBytes,
    }: { list: SliceRecord[]; asked: { offset: number }; blockBytes: number },
  ): void {
    let at = asked.offset;
    let wasHole = false;
    for (const step of steps) {
      expect(step.at.offset).toBe(at);
      at += step.at.length;
      expect(step.at.length).toBeGreaterThan(0);
      expect(wasHole && step.key === undefined).toBe(false);
      wasHole = step.key === undefined;
      if (step.key === undefined) continue;
      const { key, inBlock } = step;
      const slice = list.find(({ sliceId }) => sliceId === key.sliceId) as SliceRecord;
      expect(key.sizeBytes).toBe(Math.min(blockBytes, slice.size - key.index * blockBytes));
      expect(inBlock.length).toBe(step.at.length);
      expect(inBlock.offset + inBlock.length).toBeLessThanOrEqual(key.sizeBytes);
    }
  }

  test('a slice of 10 MiB in blocks of 4 MiB', () => {
    const pieces = resolveSlices([{ pos: 0, sliceId: 1n, size: 10 * MIB, off: 0, len: 10 * MIB }]);
    const steps = planRead(pieces, { offset: 3 * MIB, length: 8 * MIB }, 4 * MIB);
    expect(steps).toEqual([
      {
        at: { offset: 3 * MIB, length: MIB },
        key: { sliceId: 1n, index: 0, sizeBytes: 4 * MIB },
        inBlock: { offset: 3 * MIB, length: MIB },
      },
      {
        at: { offset: 4 * MIB, length: 4 * MIB },
        key: { sliceId: 1n, index: 1, sizeBytes: 4 * MIB },
        inBlock: { offset: 0, length: 4 * MIB },
      },
      {
        at: { offset: 8 * MIB, length: 2 * MIB },
        key: { sliceId: 1n, index: 2, sizeBytes: 2 * MIB },
        inBlock: { offset: 0, length: 2 * MIB },
      },
      { at: { offset: 10 * MIB, length: MIB }, key: undefined },
    ]);
  });

  test('a record that reaches beyond its slice is refused when it is used', () => {
    const pieces = resolveSlices([{ pos: 0, sliceId: 7n, size: 10, off: 5, len: 6 }]);
    expect(() => planRead(pieces, { offset: 0, length: 1 }, 4)).toThrow(SliceRecordError);
  });
});
