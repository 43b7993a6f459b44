import { describe, expect, test } from 'vitest';
import type { DirEntry } from '../../../src/meta/engine.ts';
import { FileType } from '../../../src/posix/attr.ts';
import { type Ino, toIno } from '../../../src/posix/ino.ts';
import type { AheadDirectory } from '../../../src/vfs/ahead/ahead-directory.ts';
import { AheadListing } from '../../../src/vfs/ahead/ahead-listing.ts';
import { seeded } from '../../mesh/mesh-double.ts';

/** Files whose order by name is that of their inodes, listed in another one. */
function directoryOf(count: number) {
  const random = seeded(5);
  const left = Array.from({ length: count }, (_, at): DirEntry => {
    const name = Buffer.from(String(at).padStart(6, '0'));
    return { name, ino: toIno(BigInt(at)), type: FileType.file, attr: undefined };
  });
  const listed = [...left].map(() => left.splice(random.below(left.length), 1)[0] as DirEntry);
  const listing = new AheadListing();
  for (let at = 0; at < count; at += 300) listing.add(listed.slice(at, at + 300));
  return { directory: listing.finish(0), listed: listed.map(({ ino }) => ino) };
}

const take = (directory: AheadDirectory, count: number, mayShuffle = false): Ino[] =>
  Array.from({ length: count }, () => directory.next(mayShuffle)).filter(
    (ino) => ino !== undefined,
  );

const inos = (from: number, count: number) =>
  Array.from({ length: count }, (_, at) => toIno(BigInt(from + at)));

describe('what comes next in a directory', () => {
  test('read by name', () => {
    const { directory } = directoryOf(1_000);
    for (const ino of inos(100, 20)) directory.note(ino);
    expect(take(directory, 10)).toEqual(inos(120, 10));
  });

  test('read as it is listed', () => {
    const { directory, listed } = directoryOf(1_000);
    for (const ino of listed.slice(300, 320)) directory.note(ino);
    expect(take(directory, 10)).toEqual(listed.slice(320, 330));
  });

  test('shuffled: any file, each once, those that were opened not at all', () => {
    const { directory } = directoryOf(1_000);
    const random = seeded(9);
    const opened = Array.from({ length: 100 }, () => toIno(BigInt(random.below(1_000))));
    for (const ino of opened) directory.note(ino);
    const taken = take(directory, 2_000, true);
    expect(new Set([...taken, ...opened]).size).toBe(1_000);
    expect(taken).toHaveLength(1_000 - new Set(opened).size);
  });

  test('shuffled and too much to be kept: nothing', () => {
    const { directory } = directoryOf(1_000);
    const random = seeded(9);
    for (let at = 0; at < 100; at += 1) directory.note(toIno(BigInt(random.below(1_000))));
    expect(take(directory, 10)).toEqual([]);
  });

  test('after a pass nothing, until files of it are missed again', () => {
    const { directory } = directoryOf(100);
    directory.note(toIno(50n));
    expect(take(directory, 200, true)).toHaveLength(99);
    directory.missed();
    expect(take(directory, 1, true)).toEqual([]);
    for (const ino of inos(0, 60)) directory.note(ino);
    directory.missed();
    expect(take(directory, 200, true)).toHaveLength(100);
  });

  test('a file that the listing does not have is told', () => {
    const { directory } = directoryOf(10);
    expect(directory.note(toIno(3n))).toBe(true);
    expect(directory.note(toIno(99n))).toBe(false);
  });
});
