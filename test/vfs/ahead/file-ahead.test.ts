import { describe, expect, test } from 'vitest';
import { blockIdOf } from '../../../src/block/block-key.ts';
import { FileType } from '../../../src/posix/attr.ts';
import { type Ino, ROOT_INO, toIno } from '../../../src/posix/ino.ts';
import { MetaError } from '../../../src/meta/engine.ts';
import type { VfsOptions } from '../../../src/vfs/options.ts';
import { blockBytes } from '../fake-loader.ts';
import { BLOCK, context, fakeVfs, readBytes } from '../fake-vfs.ts';
import { settle } from '../manual-clock.ts';

const MIB = 1024 * 1024;
const SIZE = 10_000;
const DIRECTORY = toIno(2n);

/** A directory of files, whose slices have the number of their inodes. */
function setUp(count: number, options: Partial<VfsOptions> = {}) {
  const parts = fakeVfs({ fileAheadBytes: 64 * MIB, ...options });
  const { meta } = parts;
  meta.add(ROOT_INO, 'set', DIRECTORY, { type: FileType.directory });
  const files = Array.from({ length: count }, (_, at) =>
    addFile(parts, 100 + at, { parent: DIRECTORY }),
  );
  const outcome = (name: string) => parts.metrics.value('fileahead_files', { outcome: name });
  // As the real one does with whole blocks.
  parts.loader.before = async (key) => parts.loader.cache(blockIdOf(key));
  return { ...parts, files, outcome };
}

function addFile(
  { meta }: ReturnType<typeof fakeVfs>,
  number: number,
  { parent, length = SIZE }: { parent: Ino; length?: number },
): Ino {
  const name = String(number).padStart(6, '0');
  const ino = meta.add(parent, name, BigInt(number), { length: BigInt(length), parent });
  meta.chunks.set(`${ino}/0`, [slice(BigInt(number), length)]);
  return ino;
}

const slice = (sliceId: bigint, length = SIZE) => ({
  ...{ pos: 0, sliceId, size: length, off: 0, len: length },
});

type Parts = ReturnType<typeof setUp>;

/** Opens, reads and closes a file. @returns its bytes */
async function read({ vfs }: Parts, ino: Ino): Promise<Uint8Array> {
  const { fh } = await vfs.open(context(), ino, 0);
  const bytes = await readBytes(vfs, fh, { offset: 0, length: SIZE });
  vfs.release(fh);
  return bytes;
}

/** Opens and closes a file, whose block is then there, as if it had been read. */
async function visit({ vfs, loader }: Parts, ino: Ino): Promise<void> {
  const { fh } = await vfs.open(context(), ino, 0);
  vfs.release(fh);
  const id = blockIdOf({ sliceId: ino, index: 0, sizeBytes: SIZE });
  if (!loader.leases.has(id)) loader.cache(id);
}

/** What a file contains whose slice has this number. */
const contentOf = (sliceId: bigint) => blockBytes({ sliceId, index: 0, sizeBytes: SIZE }, BLOCK);

describe('small files of a directory', () => {
  test('are brought after the first one that was missed, in few questions', async () => {
    const parts = setUp(100);
    await read(parts, parts.files[40] as Ino);
    await settle();
    expect(parts.loader.leases.size).toBe(100);
    expect(parts.meta.count('readdir')).toBe(1);
    expect(parts.meta.count('getattrs')).toBeLessThanOrEqual(2);
    expect(parts.meta.count('readFirstChunks')).toBeLessThanOrEqual(2);
    expect(parts.loader.gathered.flat()).toHaveLength(99);
    expect(parts.outcome('brought')).toBe(99);
  });

  test('need only their open afterwards, which asks the metadata', async () => {
    const parts = setUp(50);
    await read(parts, parts.files[0] as Ino);
    await settle();
    const before = parts.meta.calls.length;
    const reads = parts.loader.reads.length;
    const { fh } = await parts.vfs.open(context(), parts.files[7] as Ino, 0);
    expect(parts.meta.calls.slice(before)).toEqual(['getattr']);
    // A worker thread would read it by itself from now on.
    const fileId = Number(fh >> 32n);
    expect(parts.sink.extents.get(`${fileId}/0`)).toMatchObject({ lengthBytes: SIZE });
    expect(parts.loader.reads).toHaveLength(reads);
    expect(parts.outcome('used')).toBe(1);
  });

  test('that were overwritten since they were brought are read as they are now', async () => {
    const parts = setUp(50);
    await read(parts, parts.files[0] as Ino);
    await settle();
    const changed = parts.files[7] as Ino;
    parts.meta.modify(changed);
    parts.meta.chunks.set(`${changed}/0`, [slice(9_999n)]);
    expect(new Uint8Array(await read(parts, changed))).toEqual(contentOf(9_999n));
  });

  test('that were removed, grew, or are no files are left out', async () => {
    const parts = setUp(20);
    parts.meta.add(DIRECTORY, 'below', 900n, { type: FileType.directory });
    parts.meta.attrs.delete(parts.files[3] as Ino);
    parts.meta.modify(parts.files[4] as Ino, { length: 5n * BigInt(BLOCK) });
    await read(parts, parts.files[0] as Ino);
    await settle();
    expect(parts.outcome('brought')).toBe(17);
  });

  test('in memory already cost no question', async () => {
    const parts = setUp(30);
    for (const ino of parts.files) await read(parts, ino);
    await settle();
    const before = parts.meta.calls.length;
    for (const ino of parts.files) await read(parts, ino);
    await settle();
    expect(parts.meta.calls.slice(before).filter((call) => call !== 'getattr')).toEqual([]);
  });

  test('are not brought when it is switched off', async () => {
    const parts = setUp(30, { fileAheadBytes: 0 });
    for (const ino of parts.files) await read(parts, ino);
    await settle();
    expect(parts.loader.gathered).toEqual([]);
    expect(parts.meta.count('readdir')).toBe(0);
  });
});

describe('how far it goes', () => {
  test('a bounded number of bytes is brought before anything of it was opened', async () => {
    const parts = setUp(2_000);
    await visit(parts, parts.files[0] as Ino);
    await settle();
    expect(parts.outcome('brought') * SIZE).toBeLessThan(5 * MIB);
  });

  test('a shuffled directory that is larger than its budget is left alone', async () => {
    const parts = setUp(2_000, { fileAheadBytes: 4 * MIB });
    for (let at = 0; at < 300; at += 1) await visit(parts, parts.files[(at * 797) % 2_000] as Ino);
    await settle();
    expect(parts.outcome('brought')).toBe(0);
  });

  test('one that is read in order is followed, however large', async () => {
    const parts = setUp(2_000, { fileAheadBytes: 4 * MIB });
    for (const ino of parts.files.slice(0, 500)) {
      await visit(parts, ino);
      await settle();
    }
    expect(parts.outcome('used')).toBeGreaterThan(450);
    expect(parts.outcome('wasted')).toBe(0);
  });

  test('what nobody opens makes it stop', async () => {
    const parts = setUp(0);
    const first: Ino[] = [];
    for (let at = 0; at < 450; at += 1) {
      const number = 10_000 + at * 20;
      const parent = parts.meta.add(ROOT_INO, `d${at}`, BigInt(number), {
        type: FileType.directory,
      });
      for (let file = 1; file < 20; file += 1) {
        addFile(parts, number + file, { parent, length: 60_000 });
      }
      first.push(toIno(BigInt(number + 1)));
    }
    // One file of each directory is read, and all is evicted a minute later.
    const brought: number[] = [];
    for (const ino of first) {
      await visit(parts, ino);
      await settle();
      parts.loader.leases.clear();
      parts.clock.advance(61_000);
      brought.push(parts.outcome('brought'));
    }
    expect(brought[9]).toBeGreaterThan(9 * 8);
    expect((brought.at(-1) ?? 0) - (brought.at(-51) ?? 0)).toBeLessThan(50);
    expect(parts.outcome('used')).toBe(0);
  });

  test('while the metadata is away nothing is asked of it beyond what programs ask', async () => {
    const parts = setUp(100);
    parts.meta.before = async (call) => {
      if (call === 'readdir') throw new MetaError('unavailable', 'away', { retryable: true });
    };
    for (const ino of parts.files.slice(0, 50)) await visit(parts, ino);
    await settle();
    expect(parts.meta.count('readdir')).toBe(1);
    expect(parts.metrics.value('fileahead_failures')).toBe(1);
    parts.meta.before = async () => undefined;
    parts.clock.advance(20_000);
    await visit(parts, parts.files[60] as Ino);
    await settle();
    expect(parts.outcome('brought')).toBe(49);
  });
});

test('directories that were passed while nothing could be brought are not all caught up with', async () => {
  const parts = setUp(100, { fileAheadBytes: MIB });
  await read(parts, parts.files[0] as Ino);
  await settle();
  // The budget is used up: all of it waits to be opened.
  expect(parts.outcome('brought')).toBeGreaterThan(80);
  for (let number = 0; number < 300; number += 1) {
    const parent = toIno(BigInt(10_000 + number));
    parts.meta.add(ROOT_INO, `other${number}`, parent, { type: FileType.directory });
    await read(parts, addFile(parts, 20_000 + number, { parent }));
  }
  await settle();
  expect(parts.meta.count('readdir')).toBe(1);
  for (const ino of parts.files.slice(1)) await read(parts, ino);
  await settle();
  expect(parts.meta.count('readdir')).toBeLessThanOrEqual(1 + 64);
});

test('an order that was seen before is followed, across directories and beyond the budget', async () => {
  const parts = setUp(1_500, { fileAheadBytes: MIB });
  const order = Array.from({ length: 1_500 }, (_, at) => parts.files[(at * 797) % 1_500] as Ino);
  for (const ino of order) await visit(parts, ino);
  parts.loader.leases.clear();
  const usedBefore = parts.outcome('used');
  for (const ino of order.slice(0, 300)) {
    await visit(parts, ino);
    await settle();
  }
  expect(parts.outcome('used') - usedBefore).toBeGreaterThan(250);
});

test('a file that is opened while it is on its way was worth it', async () => {
  const parts = setUp(10);
  parts.loader.instant = false;
  await read(parts, parts.files[0] as Ino);
  await settle();
  await read(parts, parts.files[5] as Ino);
  expect(parts.outcome('used')).toBe(1);
  for (const id of parts.loader.gathered.flat()) parts.loader.finish(id);
  await settle();
  expect(parts.outcome('wasted')).toBe(0);
});
