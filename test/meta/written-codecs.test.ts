import { expect, it } from 'vitest';
import { decodeAclRule, encodeAclRule } from '../../src/meta/acl-codec.ts';
import { decodeEdge, encodeEdge } from '../../src/meta/edge-codec.ts';
import { LOCK_END_MAX } from '../../src/meta/file-lock.ts';
import { decodeRangeLocks, encodeRangeLocks } from '../../src/meta/lock-codec.ts';
import { decodeSliceSizes, encodeSliceSizes } from '../../src/meta/slice-sizes.ts';
import { FileType } from '../../src/posix/attr.ts';
import { toIno } from '../../src/posix/ino.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

// The bytes are what JuiceFS 1.4.1 writes for these values.

it('an edge', () => {
  const edge = { type: FileType.file, ino: toIno(1025n) };
  expect(hex(encodeEdge(edge))).toBe('010000000000000401');
  expect(decodeEdge(encodeEdge(edge))).toEqual(edge);
});

it('a range lock', () => {
  const locks = [{ type: 'write' as const, pid: 4321, start: 0n, end: LOCK_END_MAX }];
  expect(hex(encodeRangeLocks(locks))).toBe('00000001000010e100000000000000007fffffffffffffff');
  expect(decodeRangeLocks(encodeRangeLocks(locks))).toEqual(locks);
  expect(decodeRangeLocks(new Uint8Array(23))).toBeUndefined();
});

it('replaced slices', () => {
  const slices = [{ id: 12_345n, size: 8_388_608 }];
  expect(hex(encodeSliceSizes(slices))).toBe('000000000000303900800000');
  expect(decodeSliceSizes(encodeSliceSizes(slices))).toEqual(slices);
  expect(decodeSliceSizes(new Uint8Array(13))).toBeUndefined();
});

it('an ACL rule', () => {
  const rule = {
    ...{ owner: 7, group: 5, mask: 7, other: 4, users: [{ id: 1000, perm: 6 }] },
    groups: [
      { id: 2000, perm: 4 },
      { id: 2001, perm: 0 },
    ],
  };
  expect(hex(encodeAclRule(rule))).toBe(
    '000700050007000400000001000003e8000600000002000007d00004000007d10000',
  );
  expect(decodeAclRule(encodeAclRule(rule))).toEqual(rule);
});
