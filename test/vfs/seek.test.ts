import { expect, test } from 'vitest';
import { CHUNK_BYTES } from '../../src/block/geometry.ts';
import { ROOT_INO, toIno } from '../../src/posix/ino.ts';
import { context, fakeVfs } from './fake-vfs.ts';

const INO = toIno(2n);

/** Data at 0 … 99, 200 … 299 and from the third chunk's 10 on; a zero record over 250 … 259. */
async function sparse() {
  const { vfs, meta } = fakeVfs();
  const length = 2 * CHUNK_BYTES + 50;
  meta.add(ROOT_INO, 'sparse', INO, { length: BigInt(length) });
  meta.chunks.set(`${INO}/0`, [
    { pos: 0, sliceId: 1n, size: 100, off: 0, len: 100 },
    { pos: 200, sliceId: 2n, size: 100, off: 0, len: 100 },
    { pos: 250, sliceId: 0n, size: 10, off: 0, len: 10 },
  ]);
  meta.chunks.set(`${INO}/2`, [{ pos: 10, sliceId: 3n, size: 200, off: 0, len: 200 }]);
  const { fh } = await vfs.open(context(), INO, 0);
  const seek = (offset: number, whence: 'data' | 'hole') =>
    vfs.lseek(context(), INO, fh, { offset, whence });
  return { seek, length };
}

test('data and holes are found, over chunks without lists too', async () => {
  const { seek, length } = await sparse();
  const third = 2 * CHUNK_BYTES;
  const cases: readonly (readonly [number, number, number])[] = [
    [0, 0, 100],
    [99, 99, 100],
    [100, 200, 100],
    [225, 225, 250],
    [255, 260, 255],
    [299, 299, 300],
    [300, third + 10, 300],
    [CHUNK_BYTES + 7, third + 10, CHUNK_BYTES + 7],
    [third + 20, third + 20, length],
  ];
  for (const [offset, data, hole] of cases) {
    expect([offset, await seek(offset, 'data'), await seek(offset, 'hole')]).toEqual([
      offset,
      data,
      hole,
    ]);
  }
});

test('behind the end, or behind all data, is ENXIO', async () => {
  const { seek, length } = await sparse();
  await expect(seek(length, 'data')).rejects.toMatchObject({ code: 'ENXIO' });
  await expect(seek(length, 'hole')).rejects.toMatchObject({ code: 'ENXIO' });
  const { vfs, meta } = fakeVfs();
  meta.add(ROOT_INO, 'hole', INO, { length: 1000n });
  const { fh } = await vfs.open(context(), INO, 0);
  const data = vfs.lseek(context(), INO, fh, { offset: 0, whence: 'data' });
  await expect(data).rejects.toMatchObject({ code: 'ENXIO' });
});
