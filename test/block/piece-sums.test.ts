import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  PieceChecker,
  pieceCount,
  pieceSums,
  SUM_PIECE_BYTES,
} from '../../src/block/piece-sums.ts';

const BYTES = Uint8Array.from(
  { length: 3 * SUM_PIECE_BYTES + 777 },
  (_, at) => Math.imul(at, 2_654_435_761) >>> 24,
);

describe('piece sums', () => {
  it('are the CRC-32 that zlib gives, one for each started piece', () => {
    const sums = pieceSums(BYTES);
    expect(sums.length).toBe(pieceCount(BYTES.byteLength));
    expect(sums.length).toBe(4);
    sums.forEach((sum, piece) => {
      const at = piece * SUM_PIECE_BYTES;
      expect(sum).toBe(zlibCrc32(BYTES.subarray(at, at + SUM_PIECE_BYTES)));
    });
    expect(pieceSums(new Uint8Array(0)).length).toBe(0);
  });

  it('pass however the bytes are cut, and are counted by whole pieces', () => {
    const cuts = fc.array(fc.nat(BYTES.byteLength), { maxLength: 12 });
    const sizes = fc.integer({ min: 1, max: BYTES.byteLength });
    fc.assert(
      fc.property(cuts, sizes, (places, size) => {
        const checker = new PieceChecker(pieceSums(BYTES.subarray(0, size)), size);
        const sorted = [0, ...places.map((place) => Math.min(place, size)), size];
        sorted.sort((one, other) => one - other);
        for (let cut = 1; cut < sorted.length; cut += 1) {
          const end = sorted[cut] as number;
          expect(checker.update(BYTES.subarray(sorted[cut - 1], end))).toBe(true);
          const whole = end === size ? size : end - (end % SUM_PIECE_BYTES);
          expect(checker.checkedBytes).toBe(whole);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('never pass a flipped bit, and what comes before it stays checked', () => {
    fc.assert(
      fc.property(fc.nat(BYTES.byteLength - 1), fc.nat(7), (place, bit) => {
        const bytes = Uint8Array.from(BYTES);
        bytes[place] = (bytes[place] as number) ^ (1 << bit);
        const checker = new PieceChecker(pieceSums(BYTES), BYTES.byteLength);
        expect(checker.update(bytes)).toBe(false);
        expect(checker.checkedBytes).toBe(place - (place % SUM_PIECE_BYTES));
      }),
      { numRuns: 30 },
    );
  });

  it('refuse bytes beyond the last piece', () => {
    const checker = new PieceChecker(pieceSums(BYTES.subarray(0, 10)), 10);
    expect(checker.update(BYTES.subarray(0, 11))).toBe(false);
  });
});
