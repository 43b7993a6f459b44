import { relative } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFooterHead, stageEndOf, StagePaths } from '../../../src/store/stage/stage-layout.ts';

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

test('a file is a whole block with or without checksums, with or without a footer, and nothing else', () => {
  fc.assert(
    fc.property(keys, fc.integer({ min: -9, max: 4000 }), (key, more) => {
      const sums = 4 * Math.ceil(key.sizeBytes / 32_768);
      const end = stageEndOf(key, key.sizeBytes + more);
      const footer = more % 4 === 0 ? more - sums : more;
      const isFooter = footer > 4 && footer <= 1024;
      const isBare = more === 0 || more === sums;
      const withFooter = isFooter
        ? { hasChecksums: more % 4 === 0, footerBytes: footer }
        : undefined;
      expect(end).toEqual(isBare ? { hasChecksums: more === sums, footerBytes: 0 } : withFooter);
    }),
  );
});

test('a footer begins with its magic and says how long it is', () => {
  expect(isFooterHead(Uint8Array.of(0x46, 0x53, 0, 16), 20)).toBe(true);
  expect(isFooterHead(Uint8Array.of(0x46, 0x53, 1, 2), 262)).toBe(true);
  expect(isFooterHead(Uint8Array.of(0x46, 0x53, 0, 16), 19)).toBe(false);
  expect(isFooterHead(Uint8Array.of(0x53, 0x46, 0, 16), 20)).toBe(false);
  expect(isFooterHead(Uint8Array.of(0x46, 0x53, 0), 4)).toBe(false);
});
