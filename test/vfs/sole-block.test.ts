import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planRead, resolveSlices } from '../../src/block/read-plan.ts';
import { soleBlock } from '../../src/vfs/sole-block.ts';

const BLOCK = 64;

test('finds a block exactly where the plan has one step', () => {
  const record = fc
    .record({
      pos: fc.integer({ min: 0, max: 400 }),
      len: fc.integer({ min: 1, max: 300 }),
      off: fc.integer({ min: 0, max: 100 }),
      behind: fc.integer({ min: 0, max: 50 }),
      id: fc.integer({ min: 0, max: 4 }),
    })
    .map(({ pos, len, off, behind, id }) => {
      return { pos, len, off, size: off + len + behind, sliceId: BigInt(id) };
    });
  const range = fc.record({
    offset: fc.integer({ min: 0, max: 800 }),
    length: fc.integer({ min: 1, max: BLOCK }),
  });
  fc.assert(
    fc.property(fc.array(record, { maxLength: 6 }), range, (records, asked) => {
      const pieces = resolveSlices(records);
      const steps = planRead(pieces, asked, BLOCK);
      const [first] = steps;
      const want =
        steps.length === 1 && first?.key !== undefined
          ? { key: first.key, offset: first.inBlock.offset }
          : undefined;
      const found = soleBlock(pieces, asked, BLOCK);
      // Neighbouring pieces that continue each other are two steps, and not one block either.
      expect(found).toEqual(want);
    }),
    { numRuns: 500 },
  );
});
