import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  crc32cOf,
  decodeTrailer,
  encodeTrailer,
  firstBadUnit,
  trailerBytes,
  UnitChecksummer,
  unitChecksums,
  unitCount,
} from '../../src/block/checksum.ts';
import { CHECKSUM_UNIT_BYTES } from '../../src/block/geometry.ts';

const text = (value: string) => new TextEncoder().encode(value);
const noise = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + seed * 17 + (index >> 8)) & 255);

describe('CRC-32C', () => {
  test('gives the published values', () => {
    // RFC 3720, appendix B.4, and the metadata that JuiceFS writes for this text.
    expect(crc32cOf(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32cOf(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
    expect(crc32cOf(text('hello world'))).toBe(3381945770);
    expect(crc32cOf(new Uint8Array(0))).toBe(0);
  });

  test('is not the CRC-32 of zip', () => {
    expect(crc32cOf(text('hello world'))).not.toBe(crc32(text('hello world')));
  });

  test('continues from the checksum of what came before', () => {
    expect(crc32cOf(text(' world'), crc32cOf(text('hello')))).toBe(3381945770);
  });
});

describe('checksums per unit', () => {
  test.each([
    [0, 0],
    [1, 1],
    [CHECKSUM_UNIT_BYTES, 1],
    [CHECKSUM_UNIT_BYTES + 1, 2],
    [4 << 20, 128],
  ])('%d bytes are %d units', (sizeBytes, units) => {
    expect(unitCount(sizeBytes)).toBe(units);
    expect(trailerBytes(sizeBytes)).toBe(units * 4);
  });

  test('the trailer is big-endian and reads back', () => {
    const sums = unitChecksums(text('hello world'));
    expect(Buffer.from(encodeTrailer(sums)).toString('hex')).toBe('c99465aa');
    expect(decodeTrailer(encodeTrailer(sums))).toEqual(sums);
    expect(decodeTrailer(new Uint8Array(5))).toBeUndefined();
  });

  test('pieces of any size give the checksums of the whole', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 50_000 }), { maxLength: 8 });
    fc.assert(
      fc.property(cuts, fc.nat(255), (sizes, seed) => {
        const bytes = noise(
          sizes.reduce((sum, size) => sum + size, 0),
          seed,
        );
        const summer = new UnitChecksummer();
        let at = 0;
        for (const size of sizes) {
          summer.update(bytes.subarray(at, at + size));
          at += size;
        }
        expect(summer.finish()).toEqual(unitChecksums(bytes));
      }),
      { numRuns: 50 },
    );
  });

  test('any flipped bit is found in its unit', () => {
    const place = fc.integer({ min: 0, max: 100_000 - 1 });
    fc.assert(
      fc.property(place, fc.nat(7), (at, bit) => {
        const bytes = noise(100_000, 1);
        const sums = unitChecksums(bytes);
        expect(firstBadUnit(bytes, sums)).toBeUndefined();
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        expect(firstBadUnit(bytes, sums)).toBe(Math.floor(at / CHECKSUM_UNIT_BYTES));
      }),
      { numRuns: 50 },
    );
  });

  test('too few or too many checksums are not a match', () => {
    const bytes = noise(CHECKSUM_UNIT_BYTES * 2, 3);
    const sums = unitChecksums(bytes);
    expect(firstBadUnit(bytes, sums.subarray(0, 1))).toBe(1);
    expect(firstBadUnit(bytes.subarray(0, CHECKSUM_UNIT_BYTES), sums)).toBe(1);
  });
});
