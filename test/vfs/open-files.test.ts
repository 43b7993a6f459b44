import { describe, expect, test } from 'vitest';
import { ROOT_INO, toIno } from '../../src/posix/ino.ts';
import type { FileVersion } from '../../src/vfs/file-version.ts';
import { OpenFiles } from '../../src/vfs/open-files.ts';
import { fileIdOf } from '../../src/fuse/operations.ts';
import { attrOf } from './fake-meta.ts';
import { context, fakeVfs, readBytes } from './fake-vfs.ts';
import { ManualClock, settle } from './manual-clock.ts';

const INO = toIno(2n);

function table(limit: number) {
  const ended: FileVersion[] = [];
  const clock = new ManualClock();
  const files = new OpenFiles({ limit, clock, onEnd: (version) => void ended.push(version) });
  return { files, ended, clock };
}

const at = (seconds: number) => ({
  mtime: { seconds, nanoseconds: 0 },
  ctime: { seconds, nanoseconds: 0 },
});

describe('content versions', () => {
  test('an attribute with another time or length ends the version, the same one keeps it', () => {
    const { files, ended } = table(10);
    const file = files.open(INO, attrOf(at(1)), files.ticket());
    const first = file.version;
    files.observe(INO, attrOf({ ...at(1), nlink: 2 }), files.ticket());
    expect(file.version).toBe(first);
    expect(file.attr.nlink).toBe(2);
    files.observe(INO, attrOf({ ...at(1), length: 5n }), files.ticket());
    const second = file.version;
    expect(second.fileId).not.toBe(first.fileId);
    files.observe(INO, attrOf({ ...at(2), length: 5n }), files.ticket());
    expect(ended).toEqual([first, second]);
    expect(file.version.current).toBe(true);
  });

  test('a reply that was overtaken does not bring the old content back', () => {
    const { files } = table(10);
    const slow = files.ticket();
    const file = files.open(INO, attrOf(at(2)), files.ticket());
    const { version } = file;
    expect(files.observe(INO, attrOf(at(1)), slow)).toMatchObject(at(2));
    expect(files.open(INO, attrOf(at(1)), slow).version).toBe(version);
  });

  test('a handle that another thread opened is not taken back to older content by a late reply', () => {
    const { files } = table(10);
    const known = files.open(INO, attrOf(at(2)), files.ticket());
    const slow = files.ticket();
    const seen = { attr: attrOf(at(2)), ticket: slow };
    const { file } = files.adopt({ ino: INO, seen, fileId: known.version.fileId });
    expect(file).toBe(known);
    expect(files.observe(INO, attrOf(at(1)), slow)).toMatchObject(at(2));
    expect(files.observe(INO, attrOf(at(3)), files.ticket())).toMatchObject(at(3));
  });

  test('a handle that was opened before its file was forgotten does not hide a later change', () => {
    const { files } = table(1);
    const known = files.open(INO, attrOf(at(2)), files.ticket());
    const { fileId } = known.version;
    files.close(known, known.version);
    const ticket = files.ticket();
    // Asked after the other thread's open, answered before this thread hears of that.
    const later = files.ticket();
    const other = toIno(99n);
    files.open(other, attrOf(), files.ticket());
    expect(files.find(INO)).toBeUndefined();
    const seen = { attr: attrOf(at(2)), ticket };
    const { file, opened } = files.adopt({ ino: INO, seen, fileId });
    expect([opened.fileId, opened.current]).toEqual([fileId, false]);
    expect(files.open(INO, attrOf(at(3)), later)).toBe(file);
    expect(file.attr).toMatchObject(at(3));
  });

  test('a file that another thread has opened meanwhile is not forgotten', () => {
    const { files } = table(1);
    const known = files.open(INO, attrOf(at(1)), files.ticket());
    const { fileId } = known.version;
    files.close(known, known.version);
    const told: string[] = [];
    files.watch({
      asks: () => undefined,
      known: ({ ino }) => void told.push(`known ${ino}`),
      unknown: (ino) => {
        told.push(`unknown ${ino}`);
        if (ino === INO) files.adopt({ ino, seen: undefined, fileId });
      },
    });
    const other = toIno(99n);
    files.open(other, attrOf(), files.ticket());
    expect(files.find(INO)).toBe(known);
    expect(known).toMatchObject({ handles: 1, version: { current: true, handles: 1 } });
    expect(told).toEqual(['known 99', `unknown ${INO}`, `known ${INO}`]);
  });

  test('what was heard of a file between asking and opening is not taken for checked', () => {
    const { files } = table(10);
    const [first, second] = [files.ticket(), files.ticket()];
    files.doubt(INO);
    const file = files.open(INO, attrOf(at(1)), first);
    expect(file.isDoubted).toBe(true);
    files.observe(INO, attrOf(at(1)), second);
    expect(file.isDoubted).toBe(true);
    files.observe(INO, attrOf(at(1)), files.ticket());
    expect(file.isDoubted).toBe(false);
  });

  test('a file id is not given out again while a handle carries it', () => {
    const { files } = table(1);
    const old = files.open(INO, attrOf(at(1)), files.ticket());
    const opened = old.version;
    files.observe(INO, attrOf(at(2)), files.ticket());
    const ids = new Set([opened.fileId]);
    for (let ino = 10n; ino < 60n; ino += 1n) {
      const other = files.open(toIno(ino), attrOf(), files.ticket());
      expect(ids.has(other.version.fileId)).toBe(false);
      ids.add(other.version.fileId);
    }
  });

  test('closed files are forgotten beyond the limit, least recently closed first, open ones never', () => {
    const { files, ended } = table(2);
    const [a, b, c, d] = [5n, 6n, 7n, 8n].map((ino) =>
      files.open(toIno(ino), attrOf(), files.ticket()),
    );
    expect(files.size).toBe(4);
    if (!a || !b || !c || !d) throw new Error('unreachable');
    files.close(b, b.version);
    files.close(a, a.version);
    expect(ended).toEqual([b.version, a.version]);
    files.close(c, c.version);
    expect(files.find(toIno(7n))).toBe(c);
    expect(files.size).toBe(2);
  });

  test('closed files are forgotten after 12 hours', () => {
    const { files, clock } = table(100);
    const file = files.open(INO, attrOf(), files.ticket());
    files.close(file, file.version);
    clock.advance(13 * 3600 * 1000);
    files.open(toIno(9n), attrOf(), files.ticket());
    expect(files.find(INO)).toBeUndefined();
  });
});

describe('close-to-open', () => {
  test('the kernel keeps its pages only if the content was opened before', async () => {
    const { vfs, meta } = fakeVfs();
    meta.add(ROOT_INO, 'file', INO, { length: 10n });
    const first = await vfs.open(context(), INO, 0);
    vfs.release(first.fh);
    const second = await vfs.open(context(), INO, 0);
    expect([first.keepCache, second.keepCache]).toEqual([false, true]);
    expect(fileIdOf(second.fh)).toBe(fileIdOf(first.fh));
    meta.modify(INO);
    // A look-up sees the change before the open does.
    await vfs.lookup(context(), ROOT_INO, Buffer.from('file'));
    const third = await vfs.open(context(), INO, 0);
    expect(third.keepCache).toBe(false);
    expect(fileIdOf(third.fh)).not.toBe(fileIdOf(first.fh));
    vfs.touched(third.fh, 0);
    expect((await vfs.open(context(), INO, 0)).keepCache).toBe(true);
  });

  test('it drops them until it has used a handle: before that it may not have seen the answer', async () => {
    const { vfs, meta } = fakeVfs();
    meta.add(ROOT_INO, 'file', INO, { length: 10n });
    const first = await vfs.open(context(), INO, 0);
    // A second process, whose answer may be dealt with before that of the first one.
    expect((await vfs.open(context(), INO, 0)).keepCache).toBe(false);
    meta.modify(INO);
    await vfs.lookup(context(), ROOT_INO, Buffer.from('file'));
    // A handle of the older content says nothing about pages of this one.
    vfs.release(first.fh);
    expect((await vfs.open(context(), INO, 0)).keepCache).toBe(false);
  });

  test('an answer that the kernel did not take drops no pages', async () => {
    const { vfs, meta } = fakeVfs();
    meta.add(ROOT_INO, 'file', INO, { length: 10n });
    const lost = await vfs.open(context(), INO, 0);
    vfs.release(lost.fh, { taken: false });
    expect((await vfs.open(context(), INO, 0)).keepCache).toBe(false);
  });

  test('each open asks, and with open-cache only after it expired', async () => {
    const close = fakeVfs();
    close.meta.add(ROOT_INO, 'file', INO);
    await close.vfs.open(context(), INO, 0);
    await close.vfs.open(context(), INO, 0);
    expect(close.meta.count('getattr')).toBe(2);

    const cached = fakeVfs({ openCacheMs: 500 });
    cached.meta.add(ROOT_INO, 'file', INO);
    await cached.vfs.open(context(), INO, 0);
    cached.meta.modify(INO, { length: 5n });
    await cached.vfs.open(context(), INO, 0);
    expect((await cached.vfs.getattr(context(), INO)).attr.length).toBe(0n);
    expect(cached.meta.count('getattr')).toBe(1);
    cached.clock.advance(501);
    await cached.vfs.open(context(), INO, 0);
    expect((await cached.vfs.getattr(context(), INO)).attr.length).toBe(5n);
  });

  test('an open handle reads what was appended, once the attribute shows it', async () => {
    const { vfs, meta } = fakeVfs();
    meta.add(ROOT_INO, 'log', INO, { length: 10n });
    meta.chunks.set(`${INO}/0`, [{ pos: 0, sliceId: 1n, size: 10, off: 0, len: 10 }]);
    const { fh } = await vfs.open(context(), INO, 0);
    expect((await readBytes(vfs, fh, { offset: 0, length: 100 })).byteLength).toBe(10);
    meta.chunks.get(`${INO}/0`)?.push({ pos: 10, sliceId: 2n, size: 5, off: 0, len: 5 });
    meta.modify(INO, { length: 15n });
    await vfs.getattr(context(), INO);
    expect((await readBytes(vfs, fh, { offset: 0, length: 100 })).byteLength).toBe(15);
  });

  test('slice lists are asked once as long as the content stays', async () => {
    const { vfs, meta } = fakeVfs();
    meta.add(ROOT_INO, 'file', INO, { length: 10n });
    meta.chunks.set(`${INO}/0`, [{ pos: 0, sliceId: 1n, size: 10, off: 0, len: 10 }]);
    for (let time = 0; time < 3; time += 1) {
      const { fh } = await vfs.open(context(), INO, 0);
      await readBytes(vfs, fh, { offset: 0, length: 10 });
      vfs.release(fh);
    }
    expect(meta.count('readChunk')).toBe(1);
    meta.modify(INO);
    const { fh } = await vfs.open(context(), INO, 0);
    await readBytes(vfs, fh, { offset: 0, length: 10 });
    expect(meta.count('readChunk')).toBe(2);
  });

  test('a slice list that was on its way when the content changed is not used for the new one', async () => {
    const { vfs, meta } = fakeVfs();
    meta.add(ROOT_INO, 'file', INO, { length: 10n });
    meta.chunks.set(`${INO}/0`, [{ pos: 0, sliceId: 1n, size: 10, off: 0, len: 10 }]);
    const { fh } = await vfs.open(context(), INO, 0);
    let answer = (): void => undefined;
    meta.before = (call) =>
      call === 'readChunk' ? new Promise((resolve) => (answer = resolve)) : Promise.resolve();
    const reading = readBytes(vfs, fh, { offset: 0, length: 10 });
    await settle();
    meta.modify(INO);
    await vfs.getattr(context(), INO);
    const old = answer;
    const again = readBytes(vfs, fh, { offset: 0, length: 10 });
    await settle();
    old();
    answer();
    await Promise.all([reading, again]);
    expect(meta.count('readChunk')).toBe(2);
  });

  test('an open that finds another length than the kernel was told makes it ask again', async () => {
    const { vfs, meta, clock } = fakeVfs();
    const dropped: bigint[] = [];
    vfs.attachInvalidation((ino, offset) => void dropped.push(ino, BigInt(offset)));
    meta.add(ROOT_INO, 'file', INO, { length: 10n });
    await vfs.lookup(context(), ROOT_INO, Buffer.from('file'));
    await vfs.open(context(), INO, 0);
    expect(dropped).toEqual([]);
    meta.modify(INO, { length: 20n });
    await vfs.open(context(), INO, 0);
    expect(dropped).toEqual([INO, -1n]);
    await vfs.lookup(context(), ROOT_INO, Buffer.from('file'));
    meta.modify(INO, { length: 30n });
    clock.advance(2_001);
    // By now the kernel asks anyway.
    await vfs.open(context(), INO, 0);
    expect(dropped).toEqual([INO, -1n]);
  });

  test.each([0o1, 0o2, 0o1000, 0o2000])('flags %i are refused with EROFS', async (flags) => {
    const { vfs, meta } = fakeVfs();
    meta.add(ROOT_INO, 'file', INO);
    await expect(vfs.open(context(), INO, flags)).rejects.toMatchObject({ code: 'EROFS' });
  });

  test('too many handles are ENFILE, and closing makes room', async () => {
    const { vfs, meta } = fakeVfs({ handlesMax: 1 });
    meta.add(ROOT_INO, 'file', INO);
    const { fh } = await vfs.open(context(), INO, 0);
    await expect(vfs.open(context(), INO, 0)).rejects.toMatchObject({ code: 'ENFILE' });
    vfs.release(fh);
    await vfs.open(context(), INO, 0);
  });
});
