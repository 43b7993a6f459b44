import { describe, expect, it } from 'vitest';
import type { Attr } from '../../../src/posix/attr.ts';
import { FileType } from '../../../src/posix/attr.ts';
import { toIno } from '../../../src/posix/ino.ts';
import { DirectoryPage } from '../../../src/fuse/wire/directory-page.ts';
import { negotiateInit } from '../../../src/fuse/wire/init.ts';
import { encodeInvalidateEntry, encodeInvalidateInode } from '../../../src/fuse/wire/notices.ts';
import * as replies from '../../../src/fuse/wire/replies.ts';

const attr: Attr = {
  type: FileType.file,
  mode: 0o644,
  uid: 1,
  gid: 2,
  atime: { seconds: -1, nanoseconds: 5 },
  mtime: { seconds: 2 ** 33 + 7, nanoseconds: 6 },
  ctime: { seconds: 3, nanoseconds: 7 },
  nlink: 4,
  length: 513n,
  rdev: 9,
  parent: toIno(1n),
  flags: 0,
  accessAclId: 0,
  defaultAclId: 0,
  tier: 0,
};
const ino = toIno(2n ** 63n + 1n);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const words = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset);

describe('replies', () => {
  it('have a header', () => {
    expect(hex(replies.encodeOutHeader(0x0102n, 2, 0))).toBe('10000000feffffff0201000000000000');
    expect(hex(replies.encodeOutHeader(1n, 0, 4))).toBe('14000000000000000100000000000000');
  });

  it('encode attributes', () => {
    const view = words(replies.encodeAttr(ino, { attr, attrTimeoutMs: 1500.5 }));
    expect(view.byteLength).toBe(104);
    expect([view.getBigUint64(0, true), view.getUint32(8, true)]).toEqual([1n, 500_500_000]);
    expect(view.getBigUint64(16, true)).toBe(ino);
    expect([view.getBigUint64(24, true), view.getBigUint64(32, true)]).toEqual([513n, 2n]);
    expect(view.getBigInt64(40, true)).toBe(-1n);
    expect(view.getBigInt64(48, true)).toBe(2n ** 33n + 7n);
    expect([64, 68, 72].map((at) => view.getUint32(at, true))).toEqual([5, 6, 7]);
    expect([76, 80, 84, 88].map((at) => view.getUint32(at, true))).toEqual([0o100644, 4, 1, 2]);
    expect([view.getUint32(92, true), view.getUint32(96, true)]).toEqual([0, 65_536]);
  });

  it('show size and device number only where they mean something', () => {
    const device = { ...attr, type: FileType.charDevice };
    const view = words(replies.encodeAttr(ino, { attr: device, attrTimeoutMs: 0 }));
    expect([24, 32].map((at) => view.getBigUint64(at, true))).toEqual([0n, 0n]);
    expect(view.getUint32(92, true)).toBe(9);
  });

  it('clamp sizes and time-outs that the kernel would not take', () => {
    const large = { ...attr, length: 2n ** 64n - 1n };
    const view = words(replies.encodeAttr(ino, { attr: large, attrTimeoutMs: Infinity }));
    expect(view.getBigUint64(24, true)).toBe(2n ** 63n - 1n);
    expect(view.getBigUint64(0, true)).toBe(2n ** 31n);
    for (const attrTimeoutMs of [-1, Number.NaN]) {
      const odd = words(replies.encodeAttr(ino, { attr, attrTimeoutMs }));
      expect(odd.getBigUint64(0, true)).toBe(0n);
    }
  });

  it('encode entries, absent ones with node id 0', () => {
    const entry = { ino, attr, entryTimeoutMs: 2000, attrTimeoutMs: 3000 };
    const view = words(replies.encodeEntry(entry));
    expect(view.byteLength).toBe(128);
    expect([0, 8, 16, 24].map((at) => view.getBigUint64(at, true))).toEqual([ino, 1n, 2n, 3n]);
    const absent = words(replies.encodeEntry({ ino: undefined, entryTimeoutMs: 1000 }));
    expect([0, 16, 24].map((at) => absent.getBigUint64(at, true))).toEqual([0n, 1n, 0n]);
  });

  it('encode open handles', () => {
    const open = { fh: 0x1_0000_0002n, keepCache: true, directIo: true, cacheDir: true };
    expect(hex(replies.encodeOpen(open, true))).toBe('02000000010000002b00000000000000');
    const plain = { fh: 1n, keepCache: false, directIo: false, cacheDir: false };
    expect(hex(replies.encodeOpen(plain, false))).toBe('01000000000000000000000000000000');
  });

  it('encode names of attributes', () => {
    expect(
      Buffer.from(replies.encodeXattrNames([Buffer.from('a'), Buffer.from('bc')])).toString(),
    ).toBe('a\0bc\0');
    expect(replies.encodeXattrNames([])).toHaveLength(0);
  });
});

describe('DirectoryPage', () => {
  const entry = {
    name: Buffer.from('name'),
    ino,
    type: FileType.directory,
    nextOffset: 7n,
    entry: undefined,
  };

  it('pads entries and stops when the next one does not fit', () => {
    const page = new DirectoryPage(70, false);
    expect([page.add(entry), page.add(entry), page.add(entry)]).toEqual([true, true, false]);
    expect(page.payload).toHaveLength(64);
    expect(hex(page.payload.subarray(0, 32))).toBe(
      '010000000000008007000000000000000400000004000000' + '6e616d6500000000',
    );
    // One that would fit must not follow one that did not.
    expect(page.add({ ...entry, name: Buffer.from('') })).toBe(false);
    expect(page.isTooSmall).toBe(false);
  });

  it('counts references of entries with attributes', () => {
    const page = new DirectoryPage(4096, true);
    const found = { ino, attr, entryTimeoutMs: 1, attrTimeoutMs: 1 };
    page.add(entry);
    page.add({ ...entry, entry: found });
    expect(page.payload).toHaveLength(320);
    expect(page.lookedUp).toEqual([ino]);
    expect(words(page.payload).getBigUint64(0, true)).toBe(0n);
    expect(words(page.payload).getBigUint64(160, true)).toBe(ino);
  });

  it('tells a page that is too small from the end of the listing', () => {
    const page = new DirectoryPage(16, false);
    expect(page.isTooSmall).toBe(false);
    page.add(entry);
    expect(page.isTooSmall).toBe(true);
  });
});

describe('notices', () => {
  it('name what the kernel shall drop', () => {
    expect(hex(encodeInvalidateInode(toIno(5n), -1, 0))).toBe(
      '28000000020000000000000000000000' + '0500000000000000ffffffffffffffff0000000000000000',
    );
    expect(hex(encodeInvalidateEntry(toIno(5n), Buffer.from('ab')))).toBe(
      '23000000030000000000000000000000' + '05000000000000000200000001000000616200',
    );
  });
});

describe('negotiateInit', () => {
  const wishes = {
    acl: false,
    locks: false,
    passthrough: false,
    maxRequestBytes: 1 << 20,
    maxWriteBytes: 131_072,
    maxReadaheadBytes: 1 << 20,
    maxBackground: 64,
  };
  const all = 2n ** 64n - 1n;

  it('asks for nothing that the kernel does not offer', () => {
    const offer = { major: 7, minor: 31, maxReadahead: 0, flags: 1n };
    expect(negotiateInit(offer, wishes)).toMatchObject({ minor: 31, flags: 1n });
  });

  it('asks for ACLs only when there are some', () => {
    const offer = { major: 7, minor: 45, maxReadahead: 0, flags: all };
    const acl = 1n << 20n;
    expect((negotiateInit(offer, wishes)?.flags ?? 0n) & acl).toBe(0n);
    expect((negotiateInit(offer, { ...wishes, acl: true })?.flags ?? 0n) & acl).toBe(acl);
  });

  it('asks for locks only when it can keep them', () => {
    const offer = { major: 7, minor: 45, maxReadahead: 0, flags: all };
    const locks = (1n << 1n) | (1n << 10n);
    expect((negotiateInit(offer, wishes)?.flags ?? 0n) & locks).toBe(0n);
    expect((negotiateInit(offer, { ...wishes, locks: true })?.flags ?? 0n) & locks).toBe(locks);
  });

  it('asks for files that the kernel reads by itself only when there are some', () => {
    const offer = { major: 7, minor: 45, maxReadahead: 0, flags: all };
    const passthrough = 1n << 37n;
    const depthOf = (found: ReturnType<typeof negotiateInit>) =>
      found && new DataView(found.payload.buffer).getUint32(36, true);
    const without = negotiateInit(offer, wishes);
    expect([(without?.flags ?? 0n) & passthrough, depthOf(without)]).toEqual([0n, 0]);
    const wanting = { ...wishes, passthrough: true };
    const found = negotiateInit(offer, wanting);
    expect([(found?.flags ?? 0n) & passthrough, depthOf(found)]).toEqual([passthrough, 1]);
    const older = negotiateInit({ ...offer, flags: all & ~passthrough }, wanting);
    expect([(older?.flags ?? 0n) & passthrough, depthOf(older)]).toEqual([0n, 0]);
  });

  it('leaves direct reads interruptible', () => {
    const offer = { major: 7, minor: 45, maxReadahead: 0, flags: all };
    expect((negotiateInit(offer, wishes)?.flags ?? all) & (1n << 15n)).toBe(0n);
  });

  it('speaks its own version to a newer kernel and none to an older one', () => {
    const offer = { major: 7, minor: 60, maxReadahead: 0, flags: all };
    expect(negotiateInit(offer, wishes)?.minor).toBe(45);
    expect(negotiateInit({ ...offer, minor: 30 }, wishes)).toBeUndefined();
    expect(negotiateInit({ ...offer, major: 6 }, wishes)).toBeUndefined();
  });
});
