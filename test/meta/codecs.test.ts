import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAclNames, decodeAclRule } from '../../src/meta/acl-codec.ts';
import { aclRuleMode, encodeAclXattr } from '../../src/meta/acl-xattr.ts';
import { decodeAttr, encodeAttr } from '../../src/meta/attr-codec.ts';
import { decodeEdge } from '../../src/meta/edge-codec.ts';
import { type Attr, FileType } from '../../src/posix/attr.ts';
import { toIno } from '../../src/posix/ino.ts';

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

const FIXED = `00 11a4 000003e8 000003e9
  000000006553f100 00000001 000000006553f101 00000002 000000006553f102 00000003
  00000001 0000000000500000 00000000 0000000000000001`;
const FILE: Attr = {
  type: FileType.file,
  mode: 0o644,
  uid: 1000,
  gid: 1001,
  atime: { seconds: 1_700_000_000, nanoseconds: 1 },
  mtime: { seconds: 1_700_000_001, nanoseconds: 2 },
  ctime: { seconds: 1_700_000_002, nanoseconds: 3 },
  nlink: 1,
  length: 5_242_880n,
  rdev: 0,
  parent: toIno(1n),
  flags: 0,
  accessAclId: 0,
  defaultAclId: 0,
  tier: 0,
};

describe('attributes', () => {
  it.each([
    ['no tail', `${FIXED} 00`, {}],
    ['a tier', `${FIXED} 02 00`, { tier: 2 }],
    ['ACLs', `${FIXED} 00000007 00000000 00`, { accessAclId: 7 }],
    ['ACLs and a tier', `${FIXED} 00000007 00000000 02 00`, { accessAclId: 7, tier: 2 }],
  ])('with %s', (_, stored, changes) => {
    const attr = { ...FILE, ...changes };
    expect(decodeAttr(hex(stored))).toEqual(attr);
    expect(toHex(encodeAttr(attr))).toBe(toHex(hex(stored)));
  });

  it('of very old clients lack the parent', () => {
    const old = hex(`${FIXED} 00`).subarray(0, 64);
    expect(decodeAttr(old)).toEqual({ ...FILE, parent: 0n });
  });

  it('of a fresh root', () => {
    const root = hex(`00 21ff 00000000 00000000
      000000006553f100 00000000 000000006553f100 00000000 000000006553f100 00000000
      00000002 0000000000001000 00000000 0000000000000001 00`);
    const time = { seconds: 1_700_000_000, nanoseconds: 0 };
    expect(decodeAttr(root)).toMatchObject({ type: 2, mode: 0o777, nlink: 2, mtime: time });
  });

  it('with times before 1970 and too many nanoseconds', () => {
    const bytes = hex(`${FIXED} 00`);
    const view = new DataView(bytes.buffer);
    view.setBigInt64(23, -5n);
    view.setUint32(31, 0xffff_ffff);
    expect(decodeAttr(bytes)?.mtime).toEqual({ seconds: -5, nanoseconds: 999_999_999 });
  });

  it('with an unknown type, or cut, are none', () => {
    expect(decodeAttr(hex(FIXED.replace('11a4', '01a4')))).toBeUndefined();
    expect(decodeAttr(hex(FIXED.replace('11a4', '81a4')))).toBeUndefined();
    expect(decodeAttr(hex(FIXED).subarray(0, 62))).toBeUndefined();
    expect(decodeAttr(new Uint8Array())).toBeUndefined();
  });

  it('come back as they were', () => {
    const u32 = fc.nat(0xffff_ffff);
    const time = fc.record({
      seconds: fc.maxSafeInteger(),
      nanoseconds: fc.nat(999_999_999),
    });
    const attr = fc.record({
      type: fc.constantFrom(...Object.values(FileType)),
      mode: fc.nat(0o7777),
      uid: u32,
      gid: u32,
      atime: time,
      mtime: time,
      ctime: time,
      nlink: u32,
      length: fc.bigInt(0n, 2n ** 64n - 1n),
      rdev: u32,
      parent: fc.bigInt(0n, 2n ** 64n - 1n).map(toIno),
      flags: fc.nat(255),
      accessAclId: u32,
      defaultAclId: u32,
      tier: fc.nat(3),
    });
    fc.assert(
      fc.property(attr, (value) => {
        expect(decodeAttr(encodeAttr(value))).toEqual(value);
      }),
    );
  });

  it('never crash the decoder', () => {
    const anyBytes = fc.property(
      fc.uint8Array({ maxLength: 100 }),
      (bytes) => void decodeAttr(bytes),
    );
    expect(fc.check(anyBytes)).toMatchObject({ failed: false });
  });
});

describe('edges', () => {
  it('are a type and an inode', () => {
    expect(decodeEdge(hex('01 0000000000000401'))).toEqual({ type: 1, ino: 1025n });
    expect(decodeEdge(hex('02 7fffffff10000001'))?.ino).toBe(9_223_372_032_828_243_969n);
  });

  it.each(['', '01', '01 00000000000004', '01 000000000000040100', '00 0000000000000401'])(
    'are not %j',
    (text) => {
      expect(decodeEdge(hex(text))).toBeUndefined();
    },
  );
});

describe('access rules', () => {
  const NAMED = `0007 0005 0007 0004 00000001 000003e8 0006
    00000002 000007d0 0004 000007d1 0000`;
  const rule = {
    owner: 7,
    group: 5,
    mask: 7,
    other: 4,
    users: [{ id: 1000, perm: 6 }],
    groups: [
      { id: 2000, perm: 4 },
      { id: 2001, perm: 0 },
    ],
  };
  const minimal = { owner: 7, group: 5, mask: 0xffff, other: 0, users: [], groups: [] };

  it('with and without names', () => {
    expect(decodeAclRule(hex(NAMED))).toEqual(rule);
    expect(decodeAclRule(hex('0007 0005 ffff 0000 00000000 00000000'))).toEqual(minimal);
    expect(decodeAclNames(hex('000003e8 0006 000007d0 0004'))).toEqual([
      { id: 1000, perm: 6 },
      { id: 2000, perm: 4 },
    ]);
  });

  it('whose counts do not fit are none', () => {
    expect(decodeAclRule(hex(NAMED).subarray(0, -1))).toBeUndefined();
    expect(decodeAclRule(hex('0007 0005 ffff 0000 ffffffff 00000000'))).toBeUndefined();
    expect(decodeAclRule(hex('0007'))).toBeUndefined();
    expect(decodeAclNames(hex('000003e8 00'))).toBeUndefined();
  });

  it('never crash the decoder', () => {
    const anyBytes = fc.property(
      fc.uint8Array({ maxLength: 64 }),
      (bytes) => void decodeAclRule(bytes),
    );
    expect(fc.check(anyBytes)).toMatchObject({ failed: false });
  });

  it('are shown to the kernel in its own form', () => {
    // `getfattr -n system.posix_acl_access` on a little-endian machine.
    expect(toHex(encodeAclXattr(rule))).toBe(
      toHex(
        hex(`02000000 0100 0700 ffffffff 0200 0600 e8030000 0400 0500 ffffffff
          0800 0400 d0070000 0800 0000 d1070000 1000 0700 ffffffff 2000 0400 ffffffff`),
      ),
    );
    expect(encodeAclXattr(minimal).byteLength).toBe(4 + 3 * 8);
  });

  it('amount to permission bits', () => {
    expect(aclRuleMode(rule)).toBe(0o774);
    expect(aclRuleMode(minimal)).toBe(0o750);
    expect(aclRuleMode({ ...minimal, mask: 2 })).toBe(0o720);
  });
});
