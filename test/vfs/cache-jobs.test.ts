import { describe, expect, test } from 'vitest';
import type { SliceRecord } from '../../src/block/slice-record.ts';
import { FileType } from '../../src/posix/attr.ts';
import { ROOT_INO } from '../../src/posix/ino.ts';
import { MetaError } from '../../src/meta/engine.ts';
import { bytesOf, type FakeMeta } from './fake-meta.ts';
import { BLOCK, context, fakeVfs } from './fake-vfs.ts';

const PARALLEL = 50;

/** Adds a file of one slice. */
function addFile(meta: FakeMeta, parent: bigint, ino: bigint, sizeBytes: number) {
  const slice: SliceRecord = { pos: 0, sliceId: ino, size: sizeBytes, off: 0, len: sizeBytes };
  meta.chunks.set(`${ino}/0`, [slice]);
  return meta.add(parent as typeof ROOT_INO, `file-${ino}`, ino, { length: BigInt(sizeBytes) });
}

function start(vfs: ReturnType<typeof fakeVfs>['vfs'], action: 'warm' | 'check' | 'evict') {
  return (...paths: string[]) => vfs.jobs.start({ action, paths, parallel: PARALLEL });
}

describe('warming up', () => {
  test('every visible block of a tree is kept, and what was not seen is not', async () => {
    const { vfs, meta, cache } = fakeVfs();
    const dir = meta.add(ROOT_INO, 'dir', 10n, { type: FileType.directory });
    const deep = meta.add(dir, 'deep', 11n, { type: FileType.directory });
    addFile(meta, dir, 20n, 3 * BLOCK + 1);
    addFile(meta, deep, 21n, 5);
    addFile(meta, ROOT_INO, 22n, BLOCK);
    const job = start(vfs, 'warm')('dir');
    await job.ended;
    expect(cache.warmed.toSorted()).toEqual([
      `20_0_${BLOCK}`,
      `20_1_${BLOCK}`,
      `20_2_${BLOCK}`,
      '20_3_1',
      '21_0_5',
    ]);
    expect(job.state).toBe('done');
    expect(job.progress).toMatchObject({
      walked: true,
      filesFound: 2,
      filesDone: 2,
      filesFailed: 0,
      blocksFound: 5,
      bytesFound: 3 * BLOCK + 6,
      bytesDone: 3 * BLOCK + 6,
      fetchedBlocks: 5,
      heldBlocks: 0,
    });
  });

  test('what is hidden behind later slices, or behind the end, is left out', async () => {
    const { vfs, meta, cache } = fakeVfs();
    meta.add(ROOT_INO, 'file', 20n, { length: BigInt(BLOCK) });
    const whole = { pos: 0, size: 2 * BLOCK, off: 0, len: 2 * BLOCK };
    meta.chunks.set('20/0', [
      { ...whole, sliceId: 1n },
      { ...whole, sliceId: 2n },
    ]);
    await start(vfs, 'warm')('file').ended;
    expect(cache.warmed).toEqual([`2_0_${BLOCK}`]);
  });

  test('a wide and deep tree in small pages is seen as a whole', async () => {
    const { vfs, meta, cache } = fakeVfs();
    meta.pageEntries = 3;
    let ino = 100n;
    const fill = (parent: typeof ROOT_INO, depth: number) => {
      for (let index = 0; index < 5; index += 1) {
        ino += 1n;
        addFile(meta, parent, ino, 7);
      }
      for (let index = 0; depth > 0 && index < 4; index += 1) {
        ino += 1n;
        fill(meta.add(parent, `d${ino}`, ino, { type: FileType.directory }), depth - 1);
      }
    };
    fill(ROOT_INO, 3);
    const job = start(vfs, 'warm')('/');
    await job.ended;
    // 1 + 4 + 16 + 64 directories of 5 files.
    expect(job.progress).toMatchObject({ filesDone: 425, filesFailed: 0 });
    expect(new Set(cache.warmed).size).toBe(425);
  });

  test('a file that was warmed up is read without asking for its slices again', async () => {
    const { vfs, meta } = fakeVfs();
    const ino = addFile(meta, ROOT_INO, 20n, 100);
    await start(vfs, 'warm')('file-20').ended;
    expect(meta.count('readChunk')).toBe(1);
    const { fh } = await vfs.open(context(), ino, 0);
    (await vfs.read(context(), ino, fh, { offset: 0, length: 100 })).release();
    expect(meta.count('readChunk')).toBe(1);
    vfs.release(fh);
  });

  test('the table of opened files is not pushed out by what is only warmed up', async () => {
    const { vfs, meta, cache } = fakeVfs({ openCacheLimit: 2 });
    const used = addFile(meta, ROOT_INO, 20n, 100);
    vfs.release((await vfs.open(context(), used, 0)).fh);
    for (let ino = 21n; ino < 41n; ino += 1n) addFile(meta, ROOT_INO, ino, 100);
    await start(vfs, 'warm')('').ended;
    expect(cache.warmed).toHaveLength(21);
    const before = meta.count('readChunk');
    const { fh } = await vfs.open(context(), used, 0);
    (await vfs.read(context(), used, fh, { offset: 0, length: 100 })).release();
    expect(meta.count('readChunk')).toBe(before);
    vfs.release(fh);
  });

  test('what fails is named and the rest goes on', async () => {
    const { vfs, meta, cache } = fakeVfs();
    const dir = meta.add(ROOT_INO, 'dir', 10n, { type: FileType.directory });
    addFile(meta, ROOT_INO, 20n, 100);
    addFile(meta, ROOT_INO, 21n, 100);
    cache.lost.add('20_0_100');
    meta.before = async (call) => {
      if (call === 'readdir' && meta.count('readdir') > 1) {
        meta.before = async () => undefined;
        throw new MetaError('unavailable', 'away');
      }
    };
    const job = start(vfs, 'warm')('', 'missing');
    await job.ended;
    expect(dir).toBe(10n);
    expect(job.progress).toMatchObject({
      filesDone: 2,
      filesFailed: 1,
      pathsFailed: 2,
      failedBlocks: 1,
      fetchedBlocks: 1,
    });
    expect(job.progress.failures.map(({ path }) => path).toSorted()).toEqual([
      '/dir',
      '/file-20',
      'missing',
    ]);
  });

  test('a cancelled job ends and keeps nothing more', async () => {
    const { vfs, meta, cache } = fakeVfs();
    for (let ino = 21n; ino < 41n; ino += 1n) addFile(meta, ROOT_INO, ino, 100);
    cache.before = (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    const job = start(vfs, 'warm')('');
    await new Promise((resolve) => setImmediate(resolve));
    job.cancel();
    await job.ended;
    expect(job.state).toBe('cancelled');
    expect(cache.warmed).toEqual([]);
  });

  test('a second run finds everything held', async () => {
    const { vfs, meta } = fakeVfs();
    for (let ino = 21n; ino < 41n; ino += 1n) addFile(meta, ROOT_INO, ino, 100);
    await start(vfs, 'warm')('').ended;
    const again = start(vfs, 'warm')('');
    await again.ended;
    expect(again.progress).toMatchObject({ heldBlocks: 20, fetchedBlocks: 0, heldBytes: 2000 });
  });
});

describe('checking and evicting', () => {
  test('a check says what share is cached and where', async () => {
    const { vfs, meta, cache } = fakeVfs();
    addFile(meta, ROOT_INO, 20n, 2 * BLOCK);
    cache.held.add(`20_1_${BLOCK}`);
    cache.silent = true;
    const job = start(vfs, 'check')('file-20');
    await job.ended;
    expect(job.progress).toMatchObject({ bytesDone: 2 * BLOCK, cachedBytes: BLOCK, filesDone: 1 });
    expect([...job.progress.heldBy]).toEqual([['this node memory', BLOCK]]);
    expect([...job.progress.silent]).toEqual(['silent']);
    expect(cache.warmed).toEqual([]);
  });

  test('an eviction drops exactly the blocks of the path', async () => {
    const { vfs, meta, cache } = fakeVfs();
    addFile(meta, ROOT_INO, 20n, BLOCK);
    cache.held.add(`20_0_${BLOCK}`).add('99_0_1');
    const job = start(vfs, 'evict')('file-20');
    await job.ended;
    expect(job.progress).toMatchObject({ evictedBlocks: 1, evictedBytes: BLOCK, filesDone: 1 });
    expect([...cache.held]).toEqual(['99_0_1']);
  });
});

describe('paths of requests', () => {
  test.each([
    ['/dir/link/', ['20_0_9']],
    ['dir/../dir/file-20', ['20_0_9']],
    ['inode:20', ['20_0_9']],
    ['dir/outside', []],
    ['dir/loop', []],
  ])('%s', async (path, expected) => {
    const { vfs, meta, cache } = fakeVfs();
    const dir = meta.add(ROOT_INO, 'dir', 10n, { type: FileType.directory });
    addFile(meta, dir, 20n, 9);
    const links = { link: '../dir/file-20', outside: '/etc', loop: 'loop' };
    Object.entries(links).forEach(([name, target], at) => {
      const ino = meta.add(dir, name, BigInt(30 + at), { type: FileType.symlink });
      meta.links.set(ino, bytesOf(target));
    });
    const job = start(vfs, 'warm')(path);
    await job.ended;
    expect(cache.warmed).toEqual(expected);
    expect(job.progress.pathsFailed).toBe(expected.length === 0 ? 1 : 0);
  });
});
