import { relative } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hasTrailer, StagePaths } from '../../../src/store/stage/stage-layout.ts';

const keys = fc.record({
  sliceId: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
  index: fc.nat(1023),
  sizeBytes: fc.integer({ min: 1, max: 16 * 2 ** 20 }),
});

test('a staged file says which block it is, as juicefs names it', () => {
  const key = { sliceId: 1_002_003n, index: 4, sizeBytes: 5 };
  const plain = new StagePaths('/cache', { uuid: 'u', hashPrefix: false });
  const hashed = new StagePaths('/cache', { uuid: 'u', hashPrefix: true });
  expect(plain.file(key)).toBe('/cache/u/rawstaging/chunks/1/1002/1002003_4_5');
  expect(hashed.file(key)).toBe('/cache/u/rawstaging/chunks/13/1/1002003_4_5');
  fc.assert(
    fc.property(keys, fc.constantFrom(plain, hashed), (key_, paths) => {
      const path = relative(paths.base, paths.file(key_));
      expect(paths.parse(path)).toEqual({ kind: 'block', key: key_ });
      expect(paths.parse(`${path}.tmp`)).toEqual({ kind: 'temp' });
      expect(paths.parse(`chunks/${path}`)).toEqual({ kind: 'other' });
    }),
  );
});

test('a file is a whole block with or without a checksum for each 32 KiB, and nothing else', () => {
  fc.assert(
    fc.property(keys, fc.integer({ min: -9, max: 3000 }), (key, more) => {
      const trailer = 4 * Math.ceil(key.sizeBytes / 32_768);
      const expected = more === 0 ? false : more === trailer ? true : undefined;
      expect(hasTrailer(key, key.sizeBytes + more)).toBe(expected);
      expect(hasTrailer(key, key.sizeBytes + trailer)).toBe(true);
    }),
  );
});
