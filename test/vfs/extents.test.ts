import { describe, expect, test } from 'vitest';
import { fileIdOf } from '../../src/fuse/operations.ts';
import { ROOT_INO, toIno } from '../../src/posix/ino.ts';
import { BLOCK, context, fakeVfs, readBytes } from './fake-vfs.ts';
import { settle } from './manual-clock.ts';

const INO = toIno(2n);

/** A file of one slice that begins `shift` bytes into its first block. */
function file(
  length: number,
  { shift = 0, ...options }: { shift?: number } & Parameters<typeof fakeVfs>[0] = {},
) {
  const fake = fakeVfs(options);
  fake.meta.add(ROOT_INO, 'file', INO, { length: BigInt(length) });
  fake.meta.chunks.set(`${INO}/0`, [
    { pos: 0, sliceId: 9n, size: length + shift, off: shift, len: length },
  ]);
  return fake;
}

describe('extents for worker threads', () => {
  test('a unit is published once it is cached, with its place in the block and the end of the file', async () => {
    const { vfs, loader, sink } = file(2 * BLOCK + 100);
    loader.instant = false;
    const { fh } = await vfs.open(context(), INO, 0);
    await readBytes(vfs, fh, { offset: 0, length: 4096 });
    expect(sink.extents.size).toBe(0);
    loader.finish(`9_0_${BLOCK}`);
    const id = fileIdOf(fh);
    expect(sink.extents.get(`${id}/0`)).toMatchObject({
      fileOffset: 0,
      lengthBytes: BLOCK,
      leaseOffset: 0,
      endsFile: false,
      notify: true,
    });
    await readBytes(vfs, fh, { offset: 2 * BLOCK, length: 10 });
    loader.cache('9_2_100');
    await readBytes(vfs, fh, { offset: 2 * BLOCK, length: 10 });
    expect(sink.extents.get(`${id}/2`)).toMatchObject({
      fileOffset: 2 * BLOCK,
      lengthBytes: 100,
      endsFile: true,
      notify: false,
    });
  });

  test('a unit that spans two blocks, or a hole, is never published', async () => {
    const { vfs, sink } = file(4 * BLOCK, { shift: 10 });
    const { fh } = await vfs.open(context(), INO, 0);
    for (let at = 0; at < 4 * BLOCK; at += BLOCK) {
      await readBytes(vfs, fh, { offset: at, length: BLOCK });
    }
    expect(sink.extents.size).toBe(0);
  });

  test('worker threads that reach units ahead drive the window on without a read', async () => {
    const { vfs, loader, sink } = file(64 * BLOCK);
    const { fh } = await vfs.open(context(), INO, 0);
    const id = fileIdOf(fh);
    await readBytes(vfs, fh, { offset: 0, length: 4096 });
    expect(sink.extents.has(`${id}/1`)).toBe(true);
    const reads = loader.reads.length;
    for (let unit = 1; unit < 64; unit += 1) {
      expect(sink.extents.has(`${id}/${unit}`)).toBe(true);
      vfs.touched(fh, unit * BLOCK + 4096);
    }
    expect(loader.reads.length).toBe(reads);
    vfs.touched(fh, 64 * BLOCK);
    vfs.touched(12345n, 0);
  });

  test('nothing outlives the version: a change retracts, old handles publish no more, new ones anew', async () => {
    const { vfs, meta, sink } = file(4 * BLOCK);
    const old = await vfs.open(context(), INO, 0);
    await readBytes(vfs, old.fh, { offset: 0, length: 4096 });
    expect(sink.extents.size).toBeGreaterThan(0);
    meta.modify(INO);
    await vfs.getattr(context(), INO);
    expect(sink.extents.size).toBe(0);
    await readBytes(vfs, old.fh, { offset: 0, length: 4096 });
    vfs.touched(old.fh, BLOCK);
    expect(sink.extents.size).toBe(0);
    const fresh = await vfs.open(context(), INO, 0);
    await readBytes(vfs, fresh.fh, { offset: 0, length: 4096 });
    const ids = [...sink.extents.values()].map(({ fileId }) => fileId);
    expect(new Set(ids)).toEqual(new Set([fileIdOf(fresh.fh)]));
  });

  test('a prefetch that ends after the change publishes nothing', async () => {
    const { vfs, meta, loader, sink } = file(4 * BLOCK);
    loader.instant = false;
    const { fh } = await vfs.open(context(), INO, 0);
    await readBytes(vfs, fh, { offset: 0, length: 4096 });
    meta.modify(INO);
    await vfs.getattr(context(), INO);
    loader.finish(`9_0_${BLOCK}`);
    loader.finish(`9_1_${BLOCK}`);
    await settle();
    expect(sink.extents.size).toBe(0);
  });

  test('forgetting a file retracts it', async () => {
    const { vfs, meta, sink } = file(BLOCK, { openCacheLimit: 1 });
    const { fh } = await vfs.open(context(), INO, 0);
    await readBytes(vfs, fh, { offset: 0, length: 10 });
    expect(sink.extents.size).toBe(1);
    vfs.release(fh);
    meta.add(ROOT_INO, 'other', 3n);
    await vfs.open(context(), toIno(3n), 0);
    expect(sink.extents.size).toBe(0);
  });

  test('opening a small cached file again publishes it before the first read', async () => {
    const { vfs, loader, sink } = file(1000);
    const first = await vfs.open(context(), INO, 0);
    await readBytes(vfs, first.fh, { offset: 0, length: 1000 });
    vfs.release(first.fh);
    const published = sink.published;
    await vfs.open(context(), INO, 0);
    expect(sink.published).toBe(published);
    // The block was evicted and came back: workers need the new lease.
    loader.cache('9_0_1000');
    const again = await vfs.open(context(), INO, 0);
    expect(sink.published).toBe(published + 1);
    expect(sink.extents.get(`${fileIdOf(again.fh)}/0`)).toMatchObject({
      lengthBytes: 1000,
      endsFile: true,
    });
  });

  test('without workers nothing is published', async () => {
    const { vfs, sink } = file(BLOCK);
    vfs.attachExtents(undefined);
    const { fh } = await vfs.open(context(), INO, 0);
    await readBytes(vfs, fh, { offset: 0, length: 10 });
    expect(sink.published).toBe(0);
  });
});
