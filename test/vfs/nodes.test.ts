import { describe, expect, test } from 'vitest';
import { FileType } from '../../src/posix/attr.ts';
import { ROOT_INO, TRASH_INO, toIno } from '../../src/posix/ino.ts';
import { resolveDirectory } from '../../src/vfs/root-map.ts';
import { attrOf, bytesOf } from './fake-meta.ts';
import { context, fakeVfs } from './fake-vfs.ts';

const directory = { type: FileType.directory, nlink: 2, length: 4096n };

describe('look-up', () => {
  test('finds raw bytes and says how long the kernel may believe it', async () => {
    const { vfs, meta } = fakeVfs({ attrCacheMs: 1, entryCacheMs: 2, dirEntryCacheMs: 3 });
    const name = Uint8Array.of(0xff, 0x0a, 0xfe);
    meta.add(ROOT_INO, name, 2n, { length: 7n });
    meta.add(ROOT_INO, 'dir', 3n, directory);
    expect(await vfs.lookup(context(), ROOT_INO, name)).toMatchObject({
      ino: 2n,
      attr: { length: 7n },
      attrTimeoutMs: 1,
      entryTimeoutMs: 2,
    });
    expect(await vfs.lookup(context(), ROOT_INO, bytesOf('dir'))).toMatchObject({
      ino: 3n,
      entryTimeoutMs: 3,
    });
  });

  test('of a name that is not there is negative for as long as configured', async () => {
    const { vfs } = fakeVfs({ negativeEntryCacheMs: 5 });
    expect(await vfs.lookup(context(), ROOT_INO, bytesOf('no'))).toEqual({
      ino: undefined,
      entryTimeoutMs: 5,
    });
  });

  test('refuses names that are too long or empty', async () => {
    const { vfs, meta } = fakeVfs();
    await vfs.lookup(context(), ROOT_INO, new Uint8Array(255).fill(97));
    for (const [length, code] of [
      [256, 'ENAMETOOLONG'],
      [0, 'EINVAL'],
    ] as const) {
      const name = new Uint8Array(length).fill(97);
      await expect(vfs.lookup(context(), ROOT_INO, name)).rejects.toMatchObject({ code });
    }
    expect(meta.count('lookup')).toBe(1);
  });

  test('of dots leads to the directory and its parent; the root is its own', async () => {
    const { vfs, meta } = fakeVfs();
    const dir = meta.add(ROOT_INO, 'dir', 3n, directory);
    const names = [
      [dir, '.', 3n],
      [dir, '..', 1n],
      [ROOT_INO, '..', 1n],
    ] as const;
    for (const [from, name, ino] of names) {
      expect(await vfs.lookup(context(), from, bytesOf(name))).toMatchObject({ ino });
    }
  });
});

describe('virtual names', () => {
  test('.trash in the root leads to the trash and its hours', async () => {
    const { vfs, meta } = fakeVfs({ internalUid: 7 });
    meta.entries.set(TRASH_INO, []);
    const hour = meta.add(TRASH_INO, '2026-08-01-10', TRASH_INO + 1n, directory);
    meta.add(hour, '1-5-gone', 5n);
    const trash = await vfs.lookup(context(), ROOT_INO, bytesOf('.trash'));
    const made = { type: FileType.directory, mode: 0o555, nlink: 2, uid: 7, length: 0n };
    expect(trash).toMatchObject({ ino: TRASH_INO, attr: made, attrTimeoutMs: 3_600_000 });
    expect((await vfs.getattr(context(), TRASH_INO)).attr).toMatchObject(made);
    expect(await vfs.lookup(context(), TRASH_INO, bytesOf('2026-08-01-10'))).toMatchObject({
      ino: hour,
    });
    expect(await vfs.lookup(context(), hour, bytesOf('1-5-gone'))).toMatchObject({ ino: 5n });
    expect(await vfs.lookup(context(), hour, bytesOf('..'))).toMatchObject({ ino: TRASH_INO });
  });

  test('are reserved: never looked up in the metadata', async () => {
    const { vfs, meta } = fakeVfs({ internalUid: 7 });
    const dir = meta.add(ROOT_INO, 'dir', 3n, directory);
    const modes = { '.accesslog': 0o400, '.control': 0o666, '.stats': 0o444, '.config': 0o400 };
    for (const [at, [name, mode]] of Object.entries(modes).entries()) {
      meta.add(ROOT_INO, name, 9n);
      const attr = { type: FileType.file, mode, nlink: 1, uid: 7 };
      expect(await vfs.lookup(context(), ROOT_INO, bytesOf(name))).toMatchObject({
        ino: 0x7fff_ffff_0000_0001n + BigInt(at),
        attr,
        entryTimeoutMs: 3_600_000,
      });
    }
    expect(meta.count('lookup')).toBe(0);
    meta.add(dir, '.stats', 10n);
    expect(await vfs.lookup(context(), dir, bytesOf('.stats'))).toMatchObject({ ino: 10n });
    const control = toIno(0x7fff_ffff_0000_0002n);
    expect(await vfs.lookup(context(), dir, bytesOf('.control'))).toMatchObject({ ino: control });
    expect((await vfs.getattr(context(), control)).attr).toMatchObject({ mode: 0o666 });
    const none = toIno(0x7fff_ffff_0000_0005n);
    await expect(vfs.getattr(context(), none)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('have a prefix if wanted', async () => {
    const { vfs } = fakeVfs({ prefixInternal: true });
    expect(await vfs.lookup(context(), ROOT_INO, bytesOf('.jfs.trash'))).toMatchObject({
      ino: TRASH_INO,
    });
    expect(await vfs.lookup(context(), ROOT_INO, bytesOf('.trash'))).toMatchObject({
      ino: undefined,
    });
  });
});

describe('a mounted sub-directory', () => {
  test('is inode 1, has no trash, and nothing leads above it', async () => {
    const outside = fakeVfs();
    const a = outside.meta.add(ROOT_INO, 'a', 3n, directory);
    const b = outside.meta.add(a, 'b', 4n, { ...directory, parent: a });
    const { signal } = new AbortController();
    const rootIno = await resolveDirectory(outside.meta, '/a/b/', signal);
    expect(rootIno).toBe(b);
    const { vfs, meta } = fakeVfs({ rootIno });
    meta.entries.set(b, []);
    meta.attrs.set(b, attrOf({ ...directory, parent: a }));
    const c = meta.add(b, 'c', 5n, { ...directory, parent: b });
    expect(await vfs.lookup(context(), ROOT_INO, bytesOf('c'))).toMatchObject({ ino: 5n });
    expect((await vfs.getattr(context(), ROOT_INO)).attr.parent).toBe(a);
    for (const from of [c, ROOT_INO]) {
      expect(await vfs.lookup(context(), from, bytesOf('..'))).toMatchObject({ ino: ROOT_INO });
    }
    expect(await vfs.lookup(context(), ROOT_INO, bytesOf('.trash'))).toMatchObject({
      ino: undefined,
    });
  });

  test('must exist and be a directory', async () => {
    const { meta } = fakeVfs();
    meta.add(ROOT_INO, 'file', 3n);
    const { signal } = new AbortController();
    await expect(resolveDirectory(meta, 'no', signal)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(resolveDirectory(meta, 'file', signal)).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});

describe('symlinks', () => {
  test('targets are asked once', async () => {
    const { vfs, meta } = fakeVfs();
    const link = meta.add(ROOT_INO, 'link', 2n, { type: FileType.symlink });
    meta.links.set(link, Uint8Array.of(0xff, 0x2f));
    for (let time = 0; time < 2; time += 1) {
      expect(await vfs.readlink(context(), link)).toEqual(Uint8Array.of(0xff, 0x2f));
    }
    expect(meta.count('readlink')).toBe(1);
  });

  test('what has no target is told apart', async () => {
    const { vfs, meta } = fakeVfs();
    meta.add(ROOT_INO, 'file', 2n);
    meta.add(ROOT_INO, 'lost', 3n, { type: FileType.symlink });
    for (const [ino, code] of [
      [2n, 'EINVAL'],
      [3n, 'EIO'],
      [4n, 'ENOENT'],
    ] as const) {
      await expect(vfs.readlink(context(), toIno(ino))).rejects.toMatchObject({ code });
    }
  });
});
