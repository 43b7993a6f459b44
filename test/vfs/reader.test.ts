import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockIdOf } from '../../src/block/block-key.ts';
import { CHUNK_BYTES } from '../../src/block/geometry.ts';
import type { SliceRecord } from '../../src/block/slice-record.ts';
import { BlockReadError } from '../../src/mesh/loader.ts';
import { MetaError } from '../../src/meta/engine.ts';
import { ROOT_INO, toIno } from '../../src/posix/ino.ts';
import { sliceByte } from './fake-loader.ts';
import { BLOCK, context, fakeVfs, readBytes } from './fake-vfs.ts';
import { settle } from './manual-clock.ts';

const INO = toIno(2n);

/** Writes of one chunk near its end and of the next near its beginning. */
const AREA = 300_000;
const BASE = CHUNK_BYTES - AREA / 2;

interface Write {
  readonly at: number;
  readonly length: number;
  readonly hole: boolean;
  readonly off: number;
  readonly behind: number;
}

const writes = fc.array(
  fc.record({
    at: fc.integer({ min: 0, max: AREA - 1 }),
    length: fc.integer({ min: 1, max: 150_000 }),
    hole: fc.boolean(),
    off: fc.integer({ min: 0, max: 100_000 }),
    behind: fc.integer({ min: 0, max: 70_000 }),
  }),
  { maxLength: 12 },
);

/** The records of random writes, and the bytes that they leave, computed one by one. */
function overlay(list: readonly Write[], length: number) {
  const chunks = new Map<string, SliceRecord[]>();
  const expected = new Uint8Array(length);
  let nextId = 1n;
  for (const write of list) {
    const end = Math.min(write.at + write.length, AREA);
    for (let at = write.at; at < end; ) {
      const offset = BASE + at;
      const index = Math.floor(offset / CHUNK_BYTES);
      const stop = Math.min(end, (index + 1) * CHUNK_BYTES - BASE);
      const len = stop - at;
      const sliceId = write.hole ? 0n : nextId++;
      const size = write.hole ? len : write.off + len + write.behind;
      const off = write.hole ? 0 : write.off;
      const records = chunks.get(`${INO}/${index}`) ?? [];
      records.push({ pos: offset - index * CHUNK_BYTES, sliceId, size, off, len });
      chunks.set(`${INO}/${index}`, records);
      for (let byte = 0; byte < len && at + byte < length; byte += 1) {
        expected[at + byte] = sliceId === 0n ? 0 : sliceByte(sliceId, off + byte);
      }
      at = stop;
    }
  }
  return { chunks, expected };
}

/** A file of one slice per `parts`, from offset 0. */
function oneFile(length: number, options: Parameters<typeof fakeVfs>[0] = {}) {
  const fake = fakeVfs(options);
  fake.meta.add(ROOT_INO, 'file', INO, { length: BigInt(length) });
  for (let at = 0; at < length; at += CHUNK_BYTES) {
    const size = Math.min(CHUNK_BYTES, length - at);
    const index = at / CHUNK_BYTES;
    const sliceId = BigInt(10 + index);
    fake.meta.chunks.set(`${INO}/${index}`, [{ pos: 0, sliceId, size, off: 0, len: size }]);
  }
  return fake;
}

describe('bytes of a file', () => {
  test('equal a naive overlay of its writes, wherever they are read', async () => {
    const reads = fc.array(
      fc.record({
        at: fc.integer({ min: 0, max: AREA + 1000 }),
        length: fc.integer({ min: 0, max: 120_000 }),
      }),
      { minLength: 1, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(
        writes,
        reads,
        fc.integer({ min: 0, max: AREA }),
        async (list, ranges, length) => {
          const { chunks, expected } = overlay(list, length);
          const { vfs, meta, loader, metrics } = fakeVfs();
          meta.add(ROOT_INO, 'file', INO, { length: BigInt(BASE + length) });
          for (const [key, records] of chunks) meta.chunks.set(key, records);
          const { fh } = await vfs.open(context(), INO, 0);
          for (const { at, length: asked } of ranges) {
            const bytes = await readBytes(vfs, fh, { offset: BASE + at, length: asked });
            const want = expected.subarray(at, at + asked);
            expect(Buffer.compare(bytes, want)).toBe(0);
          }
          expect(loader.held).toBe(0);
          vfs.release(fh);
          expect(metrics.value('used_buffer_size_bytes')).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('written in thousands of pieces are loaded a few at a time and handed over in one part', async () => {
    const { vfs, meta, loader } = fakeVfs();
    const count = 3000;
    meta.add(ROOT_INO, 'pieces', INO, { length: BigInt(count * 2) });
    const records = Array.from({ length: count }, (_, at) => ({
      pos: at * 2,
      sliceId: BigInt(at + 1),
      size: 2,
      off: 0,
      len: 1,
    }));
    meta.chunks.set(`${INO}/0`, records);
    let loading = 0;
    let most = 0;
    loader.before = async () => {
      loading += 1;
      most = Math.max(most, loading);
      await settle();
      loading -= 1;
    };
    const { fh } = await vfs.open(context(), INO, 0);
    const reply = await vfs.read(context(), INO, fh, { offset: 0, length: count * 2 });
    const want = Array.from({ length: count * 2 }, (_, at) =>
      at % 2 === 0 ? sliceByte(BigInt(at / 2 + 1), 0) : 0,
    );
    expect(Buffer.compare(Buffer.concat(reply.parts), Buffer.from(want))).toBe(0);
    expect(reply.parts.length).toBe(1);
    expect(most).toBe(64);
    expect(loader.held).toBe(0);
    reply.release();
  });

  test('end where the file ends', async () => {
    const { vfs } = oneFile(BLOCK + 10);
    const { fh } = await vfs.open(context(), INO, 0);
    const end = await readBytes(vfs, fh, { offset: BLOCK, length: 4096 });
    expect(end.byteLength).toBe(10);
    expect((await readBytes(vfs, fh, { offset: BLOCK + 10, length: 1 })).byteLength).toBe(0);
    expect((await readBytes(vfs, fh, { offset: BLOCK * 9, length: 1 })).byteLength).toBe(0);
  });

  test('of a chunk without a list are zeros, but not when the file is gone', async () => {
    const { vfs, meta } = fakeVfs();
    meta.add(ROOT_INO, 'sparse', INO, { length: 100n });
    const { fh } = await vfs.open(context(), INO, 0);
    expect(await readBytes(vfs, fh, { offset: 0, length: 10 })).toEqual(Buffer.alloc(10));
    meta.modify(INO);
    await vfs.getattr(context(), INO);
    meta.attrs.delete(INO);
    await expect(readBytes(vfs, fh, { offset: 0, length: 10 })).rejects.toMatchObject({
      code: 'EBADF',
    });
  });

  test('a slice that ends before its record is an error, and does not disturb other parts', async () => {
    const { vfs, meta, clock } = fakeVfs({ ioRetries: 1 });
    meta.add(ROOT_INO, 'bad', INO, { length: BigInt(2 * BLOCK) });
    meta.chunks.set(`${INO}/0`, [
      { pos: 0, sliceId: 5n, size: BLOCK, off: 0, len: BLOCK },
      { pos: BLOCK, sliceId: 6n, size: 10, off: 0, len: BLOCK },
    ]);
    const { fh } = await vfs.open(context(), INO, 0);
    expect((await readBytes(vfs, fh, { offset: 0, length: 100 })).byteLength).toBe(100);
    const bad = readBytes(vfs, fh, { offset: BLOCK, length: 100 });
    await expect(clock.drive(bad)).rejects.toMatchObject({ code: 'EIO' });
  });
});

describe('a read that fails', () => {
  test('is found again under its new slice after a compaction', async () => {
    const { vfs, meta, loader, clock, metrics } = oneFile(1000);
    const { fh } = await vfs.open(context(), INO, 0);
    await readBytes(vfs, fh, { offset: 0, length: 10 });
    meta.chunks.set(`${INO}/0`, [{ pos: 0, sliceId: 77n, size: 1000, off: 0, len: 1000 }]);
    loader.before = async (key) => {
      if (key.sliceId !== 77n) throw new BlockReadError('missing', 'no such object');
    };
    const bytes = await clock.drive(readBytes(vfs, fh, { offset: 5, length: 10 }));
    expect([...bytes]).toEqual(Array.from({ length: 10 }, (_, at) => sliceByte(77n, 5 + at)));
    expect(metrics.value('vfs_read_retries')).toBe(1);
  });

  test('is EIO after the last attempt, holds nothing, and the next read starts afresh', async () => {
    const { vfs, loader, clock, metrics } = oneFile(3 * BLOCK, { ioRetries: 3 });
    const { fh } = await vfs.open(context(), INO, 0);
    let attempts = 0;
    loader.before = async (key) => {
      if (key.index !== 1) return;
      attempts += 1;
      throw new BlockReadError('failed', 'no source');
    };
    const range = { offset: BLOCK - 10, length: BLOCK + 20 };
    await expect(clock.drive(readBytes(vfs, fh, range))).rejects.toMatchObject({ code: 'EIO' });
    expect(attempts).toBe(4);
    expect(loader.held).toBe(0);
    expect(metrics.value('vfs_read_failures')).toBe(1);
    loader.before = async () => undefined;
    expect((await readBytes(vfs, fh, range)).byteLength).toBe(BLOCK + 20);
  });

  test('ends at its deadline although the loader does not answer, and lets go of what comes late', async () => {
    const { vfs, loader, clock } = oneFile(3 * BLOCK, { ioTimeoutMs: 5_000 });
    const { fh } = await vfs.open(context(), INO, 0);
    let answer = (): void => undefined;
    loader.before = (key) =>
      key.index === 1 ? new Promise((resolve) => (answer = resolve)) : Promise.resolve();
    const read = readBytes(vfs, fh, { offset: 0, length: 2 * BLOCK });
    await expect(clock.drive(read)).rejects.toMatchObject({ code: 'EIO' });
    answer();
    await settle();
    expect(loader.held).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test('goes on when the metadata is back', async () => {
    const { vfs, meta, clock } = oneFile(1000);
    const { fh } = await vfs.open(context(), INO, 0);
    let failures = 3;
    meta.before = async () => {
      failures -= 1;
      if (failures >= 0) throw new MetaError('unavailable', 'no answer', { retryable: true });
    };
    const bytes = await clock.drive(readBytes(vfs, fh, { offset: 0, length: 10 }));
    expect(bytes.byteLength).toBe(10);
  });

  test('is EINTR when the caller is interrupted', async () => {
    const { vfs, loader } = oneFile(1000);
    const { fh } = await vfs.open(context(), INO, 0);
    const controller = new AbortController();
    loader.before = (_key, _attempt, signal) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      );
    const read = vfs.read(context(controller.signal), INO, fh, { offset: 0, length: 10 });
    controller.abort();
    await expect(read).rejects.toMatchObject({ code: 'EINTR' });
  });

  test('of an inode that is gone is EBADF', async () => {
    const { vfs, meta, loader, clock } = oneFile(1000);
    const { fh } = await vfs.open(context(), INO, 0);
    meta.attrs.delete(INO);
    loader.before = async () => {
      throw new BlockReadError('missing', 'no such object');
    };
    const read = readBytes(vfs, fh, { offset: 0, length: 10 });
    await expect(clock.drive(read)).rejects.toMatchObject({ code: 'EBADF' });
  });

  test('with a closed handle is EBADF', async () => {
    const { vfs } = oneFile(1000);
    const { fh } = await vfs.open(context(), INO, 0);
    vfs.release(fh);
    await expect(readBytes(vfs, fh, { offset: 0, length: 1 })).rejects.toMatchObject({
      code: 'EBADF',
    });
  });
});

describe('reading ahead', () => {
  test('a stream asks for whole blocks ahead, doubling, a random small read for its bytes only', async () => {
    const { vfs, loader } = oneFile(64 * BLOCK);
    const { fh } = await vfs.open(context(), INO, 0);
    await readBytes(vfs, fh, { offset: 0, length: 4096 });
    expect(loader.reads[0]?.whole).toBe(true);
    expect(new Set(loader.prefetched)).toEqual(new Set([`10_0_${BLOCK}`, `10_1_${BLOCK}`]));
    await readBytes(vfs, fh, { offset: 40 * BLOCK + 100, length: 4096 });
    expect(loader.reads.at(-1)?.whole).toBe(false);
    expect(loader.prefetched).not.toContain(`10_40_${BLOCK}`);
  });

  test('what a stream has asked for is bounded by its window and by the budget', async () => {
    const { vfs, loader, metrics } = oneFile(200 * BLOCK, {
      maxReadaheadBytes: 4 * BLOCK,
      bufferBytes: 5 * BLOCK,
    });
    vfs.attachExtents(undefined);
    loader.instant = false;
    const { fh } = await vfs.open(context(), INO, 0);
    for (let at = 0; at < 20 * BLOCK; at += BLOCK / 2) {
      await readBytes(vfs, fh, { offset: at, length: BLOCK / 2 });
      expect(metrics.value('used_buffer_size_bytes')).toBeLessThanOrEqual(5 * BLOCK);
    }
    expect(loader.prefetched.length).toBeGreaterThan(15);
    expect(new Set(loader.prefetched).size).toBe(loader.prefetched.length);
    vfs.release(fh);
    expect(metrics.value('used_buffer_size_bytes')).toBe(0);
  });

  test('goes on into the next chunk', async () => {
    const { vfs, loader, meta } = oneFile(CHUNK_BYTES + 8 * BLOCK);
    const { fh } = await vfs.open(context(), INO, 0);
    for (let at = CHUNK_BYTES - 8 * BLOCK; at < CHUNK_BYTES; at += BLOCK) {
      await readBytes(vfs, fh, { offset: at, length: BLOCK });
      await settle();
    }
    expect(loader.prefetched).toContain(`11_0_${BLOCK}`);
    expect(meta.count('readChunk')).toBe(2);
  });

  test('does nothing for a file that is read as a whole and cached then', async () => {
    const { vfs, loader, sink } = oneFile(BLOCK - 10);
    loader.before = async (key) => loader.cache(blockIdOf(key));
    const { fh } = await vfs.open(context(), INO, 0);
    await readBytes(vfs, fh, { offset: 0, length: BLOCK });
    expect(loader.reads).toHaveLength(1);
    expect(loader.reads[0]?.whole).toBe(true);
    expect(sink.extents.size).toBe(1);
    expect(loader.prefetched).toEqual([]);
  });

  test('has a file that is read as a whole published when its block lands after the read', async () => {
    const { vfs, loader, sink } = oneFile(BLOCK - 10);
    loader.instant = false;
    const { fh } = await vfs.open(context(), INO, 0);
    await readBytes(vfs, fh, { offset: 0, length: BLOCK });
    expect(sink.extents.size).toBe(0);
    loader.finish(`10_0_${BLOCK - 10}`);
    expect(sink.extents.size).toBe(1);
  });

  test('is off with a window of 0', async () => {
    const { vfs, loader } = oneFile(8 * BLOCK, { maxReadaheadBytes: 0 });
    const { fh } = await vfs.open(context(), INO, 0);
    await readBytes(vfs, fh, { offset: 0, length: BLOCK });
    await readBytes(vfs, fh, { offset: BLOCK, length: BLOCK });
    expect(loader.prefetched).toEqual([]);
  });
});
