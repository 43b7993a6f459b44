import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DirEntryReply } from '../../src/fuse/operations.ts';
import { FileType } from '../../src/posix/attr.ts';
import { ROOT_INO, TRASH_INO, toIno } from '../../src/posix/ino.ts';
import type { Vfs } from '../../src/vfs/vfs.ts';
import { VirtualIno } from '../../src/vfs/virtual-nodes.ts';
import { bytesOf } from './fake-meta.ts';
import { context, fakeVfs } from './fake-vfs.ts';

const DIR = toIno(2n);
const directory = { type: FileType.directory, nlink: 2, length: 4096n };

function filled(count: number, pageEntries: number, options = {}) {
  const fake = fakeVfs(options);
  fake.meta.add(ROOT_INO, 'dir', DIR, directory);
  for (let entry = 0; entry < count; entry += 1) {
    fake.meta.add(DIR, `f${entry}`, BigInt(100 + entry), { length: BigInt(entry) });
  }
  fake.meta.pageEntries = pageEntries;
  return fake;
}

/** At most `max` entries from a cookie on. */
async function list(
  vfs: Vfs,
  fh: bigint,
  { offset = 0n, max = Number.POSITIVE_INFINITY, plus = false } = {},
): Promise<DirEntryReply[]> {
  const entries: DirEntryReply[] = [];
  await vfs.readdir(context(), DIR, fh, { offset, plus }, (entry) => {
    if (entries.length >= max) return false;
    entries.push(entry);
    return true;
  });
  return entries;
}

const names = (entries: readonly DirEntryReply[]) =>
  entries.map(({ name }) => Buffer.from(name).toString());

describe('a listing', () => {
  test('is complete and in order, whatever the sizes of pages and buffers', async () => {
    const sizes = fc.record({
      count: fc.integer({ min: 0, max: 60 }),
      pageEntries: fc.integer({ min: 1, max: 70 }),
      max: fc.integer({ min: 1, max: 25 }),
      plus: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(sizes, async ({ count, pageEntries, max, plus }) => {
        const { vfs } = filled(count, pageEntries);
        const { fh } = await vfs.opendir(context(), DIR);
        const all: DirEntryReply[] = [];
        for (let offset = 0n; ; ) {
          const part = await list(vfs, fh, { offset, max, plus });
          all.push(...part);
          const last = part.at(-1);
          if (last === undefined) break;
          offset = last.nextOffset;
        }
        const files = Array.from({ length: count }, (_, entry) => `f${entry}`);
        expect(names(all)).toEqual(['.', '..', ...files]);
        expect(all.every(({ nextOffset }) => nextOffset > 0n)).toBe(true);
        expect(all.slice(2).every(({ entry }) => (entry !== undefined) === plus)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('goes back to any cookie, and to the beginning', async () => {
    const { vfs, meta } = filled(50, 7);
    const { fh } = await vfs.opendir(context(), DIR);
    const all = await list(vfs, fh);
    for (const at of [40, 3, 0, 25, 51]) {
      const offset = all[at]?.nextOffset ?? 0n;
      expect(names(await list(vfs, fh, { offset }))).toEqual(names(all.slice(at + 1)));
    }
    const before = meta.count('readdir');
    await list(vfs, fh, { offset: all[20]?.nextOffset ?? 0n, max: 1 });
    expect(meta.count('readdir') - before).toBe(1);
    meta.add(DIR, 'new', 999n);
    expect(names(await list(vfs, fh))).toContain('new');
    const far = (all.at(-1)?.nextOffset ?? 0n) + (500n << 20n);
    expect(await list(vfs, fh, { offset: far })).toEqual([]);
  });

  test('drops a name that comes twice, and its neighbours keep their cookies', async () => {
    const { vfs, meta } = filled(6, 4);
    meta.entries.get(DIR)?.splice(3, 0, { name: bytesOf('f0'), ino: toIno(100n) });
    meta.entries.get(DIR)?.splice(5, 0, { name: bytesOf('f1'), ino: toIno(101n) });
    const { fh } = await vfs.opendir(context(), DIR);
    const all = await list(vfs, fh);
    expect(names(all).slice(2)).toEqual(['f0', 'f1', 'f2', 'f3', 'f4', 'f5']);
    for (const [at, { nextOffset }] of all.entries()) {
      expect(names(await list(vfs, fh, { offset: nextOffset })).slice(0, 1)).toEqual(
        names(all.slice(at + 1, at + 2)),
      );
    }
  });

  test('of the root shows the virtual names, unless it is hidden', async () => {
    const rootList = async (hideInternal: boolean) => {
      const { vfs } = fakeVfs({ hideInternal });
      const { fh } = await vfs.opendir(context(), ROOT_INO);
      const all = await list(vfs, fh, { plus: true });
      return all.map(({ name, ino }) => [Buffer.from(name).toString(), ino] as const);
    };
    const dots = [
      ['.', ROOT_INO],
      ['..', ROOT_INO],
    ];
    expect(await rootList(true)).toEqual(dots);
    expect(await rootList(false)).toEqual([
      ...dots,
      ['.accesslog', VirtualIno.accessLog],
      ['.stats', VirtualIno.stats],
      ['.config', VirtualIno.config],
      ['.trash', TRASH_INO],
    ]);
  });

  test('of what is no directory, or is gone, fails', async () => {
    const { vfs, meta } = fakeVfs();
    const file = meta.add(ROOT_INO, 'file', 3n);
    for (const [ino, code] of [
      [file, 'ENOTDIR'],
      [toIno(99n), 'ENOENT'],
    ] as const) {
      const { fh } = await vfs.opendir(context(), ino);
      await expect(list(vfs, fh)).rejects.toMatchObject({ code });
      vfs.releasedir(fh);
      await expect(list(vfs, fh)).rejects.toMatchObject({ code: 'EBADF' });
    }
  });

  test('goes on after a failure where it stood', async () => {
    const { vfs, meta } = filled(20, 5);
    const { fh } = await vfs.opendir(context(), DIR);
    const part = await list(vfs, fh, { max: 7 });
    meta.before = async () => {
      throw new Error('cut');
    };
    const offset = part.at(-1)?.nextOffset ?? 0n;
    await expect(list(vfs, fh, { offset })).rejects.toMatchObject({ code: 'EIO' });
    meta.before = async () => undefined;
    expect(names(await list(vfs, fh, { offset })).at(-1)).toBe('f19');
  });

  test('does not tell the kernel old attributes', async () => {
    const { vfs, meta, clock } = filled(3, 10);
    const { fh } = await vfs.opendir(context(), DIR);
    const first = await list(vfs, fh, { plus: true, max: 3 });
    const offset = first[1]?.nextOffset ?? 0n;
    clock.advance(400);
    const younger = await list(vfs, fh, { offset, plus: true });
    expect(younger[0]?.entry).toMatchObject({ attrTimeoutMs: 600, entryTimeoutMs: 600 });
    // A file that was opened since then is known better than the page knows it.
    meta.modify(toIno(100n), { length: 77n });
    await vfs.open(context(), toIno(100n), 0);
    expect((await list(vfs, fh, { offset, plus: true }))[0]?.entry?.attr.length).toBe(77n);
    clock.advance(700);
    expect((await list(vfs, fh, { offset, plus: true }))[0]?.entry).toBeUndefined();
  });
});
