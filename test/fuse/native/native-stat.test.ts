import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  shownIno,
  toNativeStat,
  toNativeStatfs,
  toStatInts,
} from '../../../src/fuse/native/native-stat.ts';
import { type Attr, FileType } from '../../../src/posix/attr.ts';
import { ROOT_INO, toIno } from '../../../src/posix/ino.ts';

const ATTR: Attr = {
  ...{ type: FileType.file, mode: 0o4755, uid: 2 ** 32 - 2, gid: 3, nlink: 2, rdev: 0, flags: 0 },
  atime: { seconds: -5, nanoseconds: 1 },
  mtime: { seconds: 1_600_000_000, nanoseconds: 999_999_999 },
  ctime: { seconds: 0, nanoseconds: 0 },
  ...{ length: (5n << 32n) + 1n, parent: ROOT_INO, accessAclId: 0, defaultAclId: 0, tier: 0 },
};

test('an attribute is marshalled word by word, times before 1970 as 1970', () => {
  const words = toStatInts(toNativeStat(toIno(42n), ATTR));
  const mtimeMs = 1_600_000_000_999;
  const blocks = (5 * 2 ** 32) / 512 + 1;
  expect([...words]).toEqual([
    ...[0o104755, 2 ** 32 - 2, 3, 1, 5, 0, 2, 42, 0, 65_536, blocks, 0],
    ...[0, 0, mtimeMs % 2 ** 32, Math.floor(mtimeMs / 2 ** 32), 0, 0],
  ]);
  expect([...toStatInts(undefined)]).toEqual(Array.from({ length: 18 }, () => 0));
});

test('inode numbers are shown as they are while they fit, and never as 0', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 2n ** 32n - 1n }), (ino) => {
      expect(shownIno(toIno(ino))).toBe(Number(ino));
    }),
  );
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), (ino) => {
      expect(shownIno(toIno(ino))).toBeGreaterThan(0);
      expect(shownIno(toIno(ino))).toBeLessThan(2 ** 32);
    }),
  );
  expect(shownIno(toIno((1n << 32n) | 1n))).toBeGreaterThan(0);
});

test('a volume of any size is told in 32-bit numbers that are right to one block', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 1n << 50n }), (blocks) => {
      const reply = { blockBytes: 4096, blocks, blocksFree: blocks / 3n, nameBytesMax: 255 };
      const told = toNativeStatfs({ ...reply, files: 1n << 40n, filesFree: 5n });
      expect(told.blocks).toBeLessThan(2 ** 32);
      const bytes = BigInt(told.blocks) * BigInt(told.frsize);
      expect(blocks * 4096n - bytes).toBeLessThan(BigInt(told.frsize));
      expect(bytes).toBeLessThanOrEqual(blocks * 4096n);
      expect([told.files, told.ffree, told.namemax]).toEqual([2 ** 32 - 1, 5, 255]);
    }),
  );
});
