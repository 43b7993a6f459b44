import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlockId } from '../../src/block/block-key.ts';
import { cloneStepsOf, type ViewPart, type ViewSpec } from '../../src/block/view-spec.ts';

/** Small, so that files are. */
const PAGE = 16;
const BLOCK = 4 * PAGE;
const id = (number: number, size: number) => `${number}_0_${size}` as BlockId;

const part = (at: number, block: number, offset: number, length: number): ViewPart => ({
  ...{ at, id: id(at, block), blockBytes: block, inBlock: { offset, length } },
});

describe('the steps by which a view shares blocks', () => {
  test.each<[string, ViewSpec, number[][] | undefined]>([
    [
      'whole blocks',
      spec(2 * BLOCK, part(0, BLOCK, 0, BLOCK), part(BLOCK, BLOCK, 0, BLOCK)),
      [
        [0, BLOCK, 0],
        [0, BLOCK, BLOCK],
      ],
    ],
    ['a short last block', spec(20, part(0, 20, 0, 20)), [[0, 20, 0]]],
    ['a file that ends inside of its block', spec(20, part(0, BLOCK, 0, 20)), [[0, 2 * PAGE, 0]]],
    ['the same near the end of the block', spec(20, part(0, 25, 0, 20)), [[0, 25, 0]]],
    ['a hole behind a short block', spec(BLOCK, part(0, 10, 0, 10)), [[0, 10, 0]]],
    ['a piece that begins beside a page', spec(PAGE, part(0, BLOCK, 10, PAGE)), undefined],
    ['a place beside a page', spec(PAGE + 10, part(10, PAGE, 0, PAGE)), undefined],
    ['a piece cut off inside of its block', spec(BLOCK, part(0, BLOCK, 0, 10)), undefined],
    ['nothing but a hole', spec(BLOCK), []],
  ])('%s', (_, given, want) => {
    const steps = cloneStepsOf(given, PAGE);
    expect(steps?.map(({ from, to }) => [from.offset, from.length, to])).toEqual(want);
  });

  test('done one after the other they make the file', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            gap: fc.nat(2),
            pages: fc.integer({ min: 1, max: 4 }),
            skip: fc.nat(2),
            more: fc.nat(2),
            odd: fc.nat(PAGE - 1),
          }),
          { maxLength: 6 },
        ),
        fc.boolean(),
        (pieces, cut) => {
          const parts: ViewPart[] = [];
          let at = 0;
          for (const [index, { gap, pages, skip, more, odd }] of pieces.entries()) {
            at += gap * PAGE;
            const isLast = index === pieces.length - 1;
            const length = pages * PAGE - (isLast ? odd : 0);
            // The last piece may stop inside of its block, all others at a page.
            const rest = isLast && !cut ? 0 : more * PAGE;
            const offset = skip * PAGE;
            const blockBytes = offset + length + rest;
            parts.push({ at, id: id(index, blockBytes), blockBytes, inBlock: { offset, length } });
            at += length;
          }
          const steps = cloneStepsOf({ lengthBytes: at, parts }, PAGE);
          expect(steps).toBeDefined();
          expect(clone(steps ?? [], parts, at)).toEqual(direct(parts, at));
        },
      ),
    );
  });
});

function spec(lengthBytes: number, ...parts: ViewPart[]): ViewSpec {
  return { lengthBytes, parts };
}

/** A byte that tells which page of which block it is from. */
const byteOf = (block: BlockId, offset: number) =>
  1 + ((Number(block.split('_')[0]) * 31 + Math.floor(offset / PAGE)) % 255);

/** What the steps make, as file systems do it: with their errors. */
function clone(
  steps: NonNullable<ReturnType<typeof cloneStepsOf>>,
  parts: readonly ViewPart[],
  lengthBytes: number,
): Uint8Array {
  let file = new Uint8Array(0);
  for (const { id: block, from, to } of steps) {
    const { blockBytes } = parts.find((each) => each.id === block) as ViewPart;
    const end = from.offset + from.length;
    if (from.offset % PAGE !== 0 || to % PAGE !== 0 || end > blockBytes) throw new Error('EINVAL');
    // A length beside pages: only up to the end of the source, and at the end of the target.
    if (end % PAGE !== 0 && (end !== blockBytes || to + from.length < file.length))
      throw new Error('EINVAL');
    const longer = new Uint8Array(Math.max(file.length, to + from.length));
    longer.set(file);
    for (let at = 0; at < from.length; at += 1) longer[to + at] = byteOf(block, from.offset + at);
    file = longer;
  }
  const cut = new Uint8Array(lengthBytes);
  cut.set(file.subarray(0, lengthBytes));
  return cut;
}

function direct(parts: readonly ViewPart[], lengthBytes: number): Uint8Array {
  const file = new Uint8Array(lengthBytes);
  for (const { at, id: block, inBlock } of parts) {
    for (let offset = 0; offset < inBlock.length; offset += 1) {
      file[at + offset] = byteOf(block, inBlock.offset + offset);
    }
  }
  return file;
}
