import { describe, expect, it } from 'vitest';
import { exchangeContract, renamingContract } from './meta-writer-renames.ts';
import { FileType } from '../../src/posix/attr.ts';
import { ROOT_INO, toIno, TRASH_INO } from '../../src/posix/ino.ts';
import {
  benchOn,
  type Given,
  type MakeVolume,
  refusal,
  text,
  user,
  type WriterBench,
} from './writer-bench.ts';

const NOWHERE = toIno(999_999n);

/** Names: made, taken away, moved; without a trash. */
export function namesContract(make: MakeVolume): void {
  describe('names', () => {
    const given = benchOn(make);
    makingContract(given);
    removingContract(given);
    linkingContract(given);
    renamingContract(given);
    exchangeContract(given);
  });
}

function makingContract(given: Given): void {
  it('makes a directory: its parent has one link more and is touched', async () => {
    const bench = given();
    const before = await bench.attr(ROOT_INO);
    const ino = await bench.mkdir('made', ROOT_INO, 0o1777);
    const after = await bench.attr(ROOT_INO);
    expect(after.nlink).toBe(before.nlink + 1);
    expect(after.mtime.seconds).toBeGreaterThan(before.mtime.seconds);
    expect(after.ctime).toEqual(after.mtime);
    expect(await bench.attr(ino)).toMatchObject({
      ...{ type: FileType.directory, mode: 0o1777, nlink: 2, length: 4096n, parent: ROOT_INO },
    });
    expect((await bench.volume.state()).dirStats.get(ino)).toEqual({
      length: 0n,
      space: 0n,
      inodes: 0n,
    });
  });

  it.each(['file', 'fifo', 'blockDevice', 'charDevice', 'socket'] as const)(
    'makes a %s under a umask',
    async (kind) => {
      const bench = given();
      const node = { type: FileType[kind], mode: 0o6777, umask: 0o027, rdev: 2065 };
      const at = { parent: ROOT_INO, name: text(`a ${kind}`) };
      const { ino, attr } = await bench.writer.mknod(at, node, bench.as(user(1000, 1001)));
      expect(attr).toMatchObject({
        mode: 0o6750,
        uid: 1000,
        gid: 1001,
        nlink: 1,
        length: 0n,
        rdev: 2065,
      });
      expect(await bench.attr(ino)).toEqual(attr);
      expect((await bench.find(`a ${kind}`))?.ino).toBe(ino);
    },
  );

  it('makes a symlink of raw bytes, whose length is its target’s', async () => {
    const bench = given();
    const target = Uint8Array.of(0x2f, 0xff, 0xfe, 0x41);
    const node = { type: FileType.symlink, mode: 0o777, umask: 0, target };
    const at = { parent: ROOT_INO, name: Uint8Array.of(0xff, 0x80) };
    const { ino, attr } = await bench.writer.mknod(at, node, bench.root);
    expect(attr).toMatchObject({ mode: 0o777, length: 4n });
    const stored = await bench.engine.readlink(ino, bench.root.signal);
    expect([...(stored ?? [])]).toEqual([...target]);
  });

  it('gives children of a set-gid directory its group', async () => {
    const bench = given();
    const dir = await bench.mkdir('setgid', ROOT_INO, 0o2777);
    await bench.writer.setattr(dir, { gid: 77 }, bench.root);
    const file = await bench.file('f', dir, 0, user(1000));
    const sub = await bench.mkdir('sub', dir, 0o755, user(1000));
    expect(await bench.attr(file)).toMatchObject({ gid: 77, mode: 0o644 });
    expect(await bench.attr(sub)).toMatchObject({ gid: 77, mode: 0o2755 });
    const at = { parent: dir, name: text('foreign') };
    const node = { type: FileType.file, mode: 0o2775, umask: 0 };
    const { attr } = await bench.writer.mknod(at, node, bench.as(user(1000)));
    expect(attr.mode).toBe(0o775);
  });

  it('creates a file, or finds the one that is there unless it must be new', async () => {
    const bench = given();
    const at = { parent: ROOT_INO, name: text('created') };
    const file = { mode: 0o600, umask: 0, exclusive: false };
    const made = await bench.writer.create(at, file, bench.root);
    const found = await bench.writer.create(at, file, bench.root);
    expect([made.isNew, found.isNew]).toEqual([true, false]);
    expect(found).toMatchObject({ ino: made.ino, attr: made.attr });
    expect(
      await refusal(bench, () => bench.writer.create(at, { ...file, exclusive: true }, bench.root)),
    ).toBe('EEXIST');
    await bench.mkdir('not a file');
    expect(
      await refusal(bench, () =>
        bench.writer.create({ parent: ROOT_INO, name: text('not a file') }, file, bench.root),
      ),
    ).toBe('EEXIST');
  });

  it('refuses names that cannot be', async () => {
    const bench = given();
    const file = await bench.file('plain');
    const node = { type: FileType.file, mode: 0o644, umask: 0 };
    const make = (parent: bigint, name: Uint8Array) => () =>
      bench.writer.mknod({ parent: toIno(parent), name }, node, bench.root);
    expect(await refusal(bench, make(ROOT_INO, text('plain')))).toBe('EEXIST');
    expect(await refusal(bench, make(ROOT_INO, text('.')))).toBe('EEXIST');
    expect(await refusal(bench, make(ROOT_INO, text('..')))).toBe('EEXIST');
    expect(await refusal(bench, make(ROOT_INO, text('')))).toBe('EINVAL');
    expect(await refusal(bench, make(ROOT_INO, text('a/b')))).toBe('EINVAL');
    expect(await refusal(bench, make(ROOT_INO, Uint8Array.of(65, 0)))).toBe('EINVAL');
    expect(await refusal(bench, make(ROOT_INO, new Uint8Array(256).fill(65)))).toBe('ENAMETOOLONG');
    expect(await refusal(bench, make(ROOT_INO, text('.trash')))).toBe('EPERM');
    expect(await refusal(bench, make(TRASH_INO, text('x')))).toBe('EPERM');
    expect(await refusal(bench, make(file, text('x')))).toBe('ENOTDIR');
    expect(await refusal(bench, make(NOWHERE, text('x')))).toBe('ENOENT');
    await expect(make(ROOT_INO, new Uint8Array(255).fill(66))()).resolves.toBeDefined();
  });

  it('refuses symlinks without a target that can be', async () => {
    const bench = given();
    const link = (target?: Uint8Array) => () =>
      bench.writer.mknod(
        { parent: ROOT_INO, name: text('bad link') },
        { type: FileType.symlink, mode: 0o777, umask: 0, ...(target && { target }) },
        bench.root,
      );
    expect(await refusal(bench, link())).toBe('EINVAL');
    expect(await refusal(bench, link(text('')))).toBe('EINVAL');
    expect(await refusal(bench, link(Uint8Array.of(65, 0)))).toBe('EINVAL');
    expect(await refusal(bench, link(new Uint8Array(4097).fill(65)))).toBe('ENAMETOOLONG');
  });

  it('checks permissions of callers that the kernel does not check', async () => {
    const bench = given();
    const dir = await bench.mkdir('mine', ROOT_INO, 0o755);
    const node = { type: FileType.file, mode: 0o644, umask: 0 };
    const make = (uid: number, checkPerm: boolean) => () =>
      bench.writer.mknod(
        { parent: dir, name: text(`by ${uid}`) },
        node,
        bench.as({ ...user(uid), checkPerm }),
      );
    expect(await refusal(bench, make(1000, true))).toBe('EACCES');
    await expect(make(1000, false)()).resolves.toBeDefined();
    await bench.writer.setattr(dir, { flags: 1 }, bench.root);
    expect(await refusal(bench, make(0, false))).toBe('EPERM');
    await bench.writer.setattr(dir, { flags: 2 }, bench.root);
    await expect(make(0, false)()).resolves.toBeDefined();
  });
}

function removingContract(given: Given): void {
  const remove = (bench: WriterBench, name: string, parent = ROOT_INO, caller = user(0)) =>
    bench.writer.unlink({ parent, name: text(name) }, bench.as(caller));

  it('removes a file and leaves its data to be deleted', async () => {
    const bench = given();
    const ino = await bench.file('gone', ROOT_INO, 5000);
    await bench.writer.setxattr(
      ino,
      { name: text('user.a'), value: text('b'), how: 'any' },
      bench.root,
    );
    expect(await remove(bench, 'gone')).toEqual({ ino, attr: undefined });
    expect(await bench.find('gone')).toBeUndefined();
    const { deleted } = await bench.sound();
    expect(deleted.get(ino)).toBe(5000n);
    expect(bench.deleted.at(-1)).toEqual([ino, 5000n]);
  });

  it('removes symlinks and devices', async () => {
    const bench = given();
    const target = text('somewhere');
    for (const type of [FileType.symlink, FileType.fifo]) {
      const node = { type, mode: 0o777, umask: 0, ...(type === FileType.symlink && { target }) };
      const { ino } = await bench.writer.mknod(
        { parent: ROOT_INO, name: text('odd') },
        node,
        bench.root,
      );
      expect(await remove(bench, 'odd')).toEqual({ ino, attr: undefined });
      await bench.sound();
    }
  });

  it('keeps an open file until its last close', async () => {
    const bench = given();
    const ino = await bench.file('open', ROOT_INO, 9000);
    bench.writer.opened(ino);
    bench.writer.opened(ino);
    expect((await remove(bench, 'open')).attr?.nlink).toBe(0);
    expect((await bench.sound()).sustained).toEqual([`${bench.sid} ${ino}`]);
    await bench.write(ino, 9000, 9000);
    await bench.sound();
    await bench.writer.closed(ino, bench.root.signal);
    expect(await bench.attr(ino)).toMatchObject({ nlink: 0, length: 18_000n });
    await bench.writer.closed(ino, bench.root.signal);
    const state = await bench.sound();
    expect(state.nodes.has(ino)).toBe(false);
    expect(state.sustained).toEqual([]);
    expect(state.deleted.get(ino)).toBe(18_000n);
  });

  it('finds open files among many', async () => {
    const bench = given();
    for (let n = 1; n <= 100; n += 1) bench.writer.opened(toIno(BigInt(1_000_000 + n)));
    const [open, shut] = [await bench.file('open one'), await bench.file('shut one')];
    bench.writer.opened(open);
    expect((await remove(bench, 'open one')).attr?.nlink).toBe(0);
    expect((await remove(bench, 'shut one')).attr).toBeUndefined();
    for (let n = 1; n <= 100; n += 1) {
      await bench.writer.closed(toIno(BigInt(1_000_000 + n)), bench.root.signal);
    }
    await bench.writer.closed(open, bench.root.signal);
    expect((await bench.sound()).nodes.has(shut)).toBe(false);
  });

  it('refuses what may not be removed', async () => {
    const bench = given();
    const dir = await bench.mkdir('sticky', ROOT_INO, 0o1777);
    const file = await bench.file('theirs', dir, 0, user(1));
    await bench.mkdir('d', dir);
    expect(await refusal(bench, () => remove(bench, 'no such', dir))).toBe('ENOENT');
    expect(await refusal(bench, () => remove(bench, 'x', NOWHERE))).toBe('ENOENT');
    expect(await refusal(bench, () => remove(bench, 'x', file))).toBe('ENOENT');
    expect(await refusal(bench, () => remove(bench, 'd', dir))).toBe('EPERM');
    expect(await refusal(bench, () => remove(bench, '.trash'))).toBe('EPERM');
    expect(await refusal(bench, () => remove(bench, 'theirs', dir, user(2)))).toBe('EACCES');
    for (const flags of [1, 2]) {
      await bench.writer.setattr(file, { flags }, bench.root);
      expect(await refusal(bench, () => remove(bench, 'theirs', dir))).toBe('EPERM');
      await bench.writer.setattr(file, { flags: 0 }, bench.root);
      await bench.writer.setattr(dir, { flags }, bench.root);
      expect(await refusal(bench, () => remove(bench, 'theirs', dir))).toBe('EPERM');
      await bench.writer.setattr(dir, { flags: 0 }, bench.root);
    }
    await remove(bench, 'theirs', dir, user(1));
  });

  it('removes directories that are empty', async () => {
    const bench = given();
    const parent = await bench.mkdir('parent');
    const dir = await bench.mkdir('dir', parent);
    const file = await bench.file('f', dir);
    const rmdir = (name: string, at = parent, caller = user(0)) =>
      bench.writer.rmdir({ parent: at, name: text(name) }, bench.as(caller));
    expect(await refusal(bench, () => rmdir('dir'))).toBe('ENOTEMPTY');
    expect(await refusal(bench, () => rmdir('..'))).toBe('ENOTEMPTY');
    expect(await refusal(bench, () => rmdir('.'))).toBe('EINVAL');
    expect(await refusal(bench, () => rmdir('no such'))).toBe('ENOENT');
    expect(await refusal(bench, () => rmdir('f', dir))).toBe('ENOTDIR');
    expect(await refusal(bench, () => rmdir('.trash', ROOT_INO))).toBe('EPERM');
    expect(await refusal(bench, () => rmdir('2020-01-01-00', TRASH_INO))).toBe('EPERM');
    expect(await refusal(bench, () => rmdir('dir', parent, user(5)))).toBe('EACCES');
    await remove(bench, 'f', dir);
    expect(await rmdir('dir')).toEqual({ ino: dir, attr: undefined });
    expect((await bench.attr(parent)).nlink).toBe(2);
    expect((await bench.sound()).nodes.has(file)).toBe(false);
  });
}

function linkingContract(given: Given): void {
  it('gives a file more names, and takes them away one by one', async () => {
    const bench = given();
    const [one, two] = [await bench.mkdir('one'), await bench.mkdir('two')];
    const ino = await bench.file('a', one, 70_000);
    const link = (parent: bigint, name: string) =>
      bench.writer.link(ino, { parent: toIno(parent), name: text(name) }, bench.root);
    expect(await link(two, 'b')).toMatchObject({ nlink: 2, parent: 0n });
    await bench.sound();
    expect((await link(two, 'c')).nlink).toBe(3);
    await bench.sound();
    await bench.write(ino, 70_000, 10_000);
    await bench.sound();
    for (const [parent, name, left] of [
      [one, 'a', 2],
      [two, 'c', 1],
      [two, 'b', undefined],
    ] as const) {
      const { attr } = await bench.writer.unlink({ parent, name: text(name) }, bench.root);
      expect(attr?.nlink).toBe(left);
      await bench.sound();
    }
  });

  it('refuses links that cannot be', async () => {
    const bench = given();
    const dir = await bench.mkdir('links', ROOT_INO, 0o755);
    const ino = await bench.file('l', dir);
    const link =
      (of: bigint, parent: bigint, name: string, caller = user(0)) =>
      () =>
        bench.writer.link(toIno(of), { parent: toIno(parent), name: text(name) }, bench.as(caller));
    expect(await refusal(bench, link(ino, dir, 'l'))).toBe('EEXIST');
    expect(await refusal(bench, link(ino, dir, '.'))).toBe('EEXIST');
    expect(await refusal(bench, link(ino, dir, ''))).toBe('EINVAL');
    expect(await refusal(bench, link(dir, ROOT_INO, 'dirlink'))).toBe('EPERM');
    expect(await refusal(bench, link(ino, TRASH_INO, 'x'))).toBe('EPERM');
    expect(await refusal(bench, link(ino, ROOT_INO, '.trash'))).toBe('EPERM');
    expect(await refusal(bench, link(NOWHERE, dir, 'x'))).toBe('ENOENT');
    expect(await refusal(bench, link(ino, NOWHERE, 'x'))).toBe('ENOENT');
    expect(await refusal(bench, link(ino, ino, 'x'))).toBe('ENOTDIR');
    expect(await refusal(bench, link(ino, dir, 'x', user(7)))).toBe('EACCES');
    await bench.writer.setattr(ino, { flags: 2 }, bench.root);
    expect(await refusal(bench, link(ino, dir, 'x'))).toBe('EPERM');
    await bench.writer.setattr(ino, { flags: 0 }, bench.root);
    await bench.writer.setattr(dir, { flags: 1 }, bench.root);
    expect(await refusal(bench, link(ino, dir, 'x'))).toBe('EPERM');
    await bench.writer.setattr(dir, { flags: 0 }, bench.root);
  });
}
