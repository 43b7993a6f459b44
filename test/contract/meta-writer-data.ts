import { describe, expect, it } from 'vitest';
import { resolveSlices } from '../../src/block/read-plan.ts';
import { FileType } from '../../src/posix/attr.ts';
import { type Ino, ROOT_INO, toIno } from '../../src/posix/ino.ts';
import {
  benchOn,
  type Given,
  type MakeVolume,
  refusal,
  text,
  user,
  type WriterBench,
} from './writer-bench.ts';

const CHUNK = 2 ** 26;
const NOWHERE = toIno(999_999n);

/** The content of files: slices, lengths, holes. */
export function dataContract(make: MakeVolume): void {
  describe('content', () => {
    const given = benchOn(make);
    committing(given);
    truncating(given);
    allocating(given);
    copying(given);
  });
}

/** The pieces of a chunk as `pos+len:slice`. */
async function plan(bench: WriterBench, ino: Ino, index: number): Promise<string[]> {
  const records = await bench.engine.readChunk(ino, index, bench.root.signal);
  return resolveSlices(records).map(({ pos, len, sliceId }) => `${pos}+${len}:${sliceId}`);
}

function committing(given: Given): void {
  it('makes slices visible in the order given, with the time of the last write', async () => {
    const bench = given();
    const ino = await bench.file('committed');
    const [a, b] = [
      await bench.writer.newSliceId(bench.root.signal),
      await bench.writer.newSliceId(bench.root.signal),
    ];
    expect(b).toBeGreaterThan(a);
    const mtime = { seconds: 1_700_000_000, nanoseconds: 42 };
    const commits = [
      { index: 0, record: { pos: 0, sliceId: a, size: 9000, off: 0, len: 9000 } },
      { index: 0, record: { pos: 1000, sliceId: b, size: 10, off: 0, len: 10 } },
      { index: 1, record: { pos: 5, sliceId: 0n, size: 0, off: 0, len: 7 } },
    ];
    const { attr, recordCounts } = await bench.writer.commitSlices(ino, commits, mtime, bench.root);
    expect(attr).toMatchObject({ length: BigInt(CHUNK + 12), mtime });
    expect(recordCounts).toEqual([1, 2, 1]);
    expect(await bench.attr(ino)).toEqual(attr);
    expect(await plan(bench, ino, 0)).toEqual([`0+1000:${a}`, `1000+10:${b}`, `1010+7990:${a}`]);
  });

  it('refuses slices of what is no file', async () => {
    const bench = given();
    const dir = await bench.mkdir('no file');
    expect(await refusal(bench, () => bench.write(NOWHERE, 0, 10))).toBe('ENOENT');
    expect(await refusal(bench, () => bench.write(dir, 0, 10))).toBe('EPERM');
  });
}

function truncating(given: Given): void {
  const truncate = (bench: WriterBench, ino: Ino, length: number | bigint, caller = user(0)) =>
    bench.writer.truncate(ino, BigInt(length), bench.as(caller));

  it('what was cut off does not come back', async () => {
    const bench = given();
    const ino = await bench.file('cut', ROOT_INO, 10_000);
    const [, id] = (await plan(bench, ino, 0))[0]?.split(':') ?? [];
    expect((await truncate(bench, ino, 100)).length).toBe(100n);
    await bench.sound();
    await truncate(bench, ino, 20_000);
    expect((await plan(bench, ino, 0))[0]).toBe(`0+100:${id}`);
    expect((await plan(bench, ino, 0)).slice(1).every((piece) => piece.endsWith(':0'))).toBe(true);
    const before = await bench.attr(ino);
    const same = await truncate(bench, ino, 20_000);
    expect({ ...same, mtime: before.mtime, ctime: before.ctime }).toEqual(before);
    // POSIX; stock clients leave the times alone.
    expect(same.mtime).not.toEqual(before.mtime);
    expect(same.ctime).toEqual(same.mtime);
    expect((await truncate(bench, ino, 0)).mtime).not.toEqual(before.mtime);
  });

  it('cuts over chunks, and leaves those without data alone', async () => {
    const bench = given();
    const ino = await bench.file('long', ROOT_INO, 5000);
    await bench.write(ino, 2 * CHUNK + 100, 500);
    await truncate(bench, ino, 5 * CHUNK + 7);
    await bench.sound();
    await truncate(bench, ino, 10);
    const { chunks } = await bench.sound();
    const kept = [...chunks.keys()].filter((key) => key.startsWith(`${ino}_`)).sort();
    expect(kept).toEqual([`${ino}_0`, `${ino}_2`, `${ino}_5`]);
    expect((await plan(bench, ino, 2)).map((piece) => piece.split(':')[1])).toEqual(['0']);
    await truncate(bench, ino, 2n ** 57n - 1n);
    await bench.sound();
    await truncate(bench, ino, 1);
  });

  it('refuses what cannot be cut', async () => {
    const bench = given();
    const dir = await bench.mkdir('uncut');
    const ino = await bench.file('locked', dir, 10);
    expect(await refusal(bench, () => truncate(bench, ino, -1))).toBe('EINVAL');
    expect(await refusal(bench, () => truncate(bench, ino, 2n ** 57n))).toBe('EFBIG');
    expect(await refusal(bench, () => truncate(bench, dir, 0))).toBe('EPERM');
    expect(await refusal(bench, () => truncate(bench, NOWHERE, 0))).toBe('ENOENT');
    expect(await refusal(bench, () => truncate(bench, ino, 0, user(3)))).toBe('EACCES');
    const byHandle = bench.writer.truncate(ino, 5n, bench.as(user(3)), { byHandle: true });
    expect((await byHandle).length).toBe(5n);
    await bench.writer.setattr(ino, { flags: 2 }, bench.root);
    expect(await refusal(bench, () => truncate(bench, ino, 0))).toBe('EPERM');
  });
}

function allocating(given: Given): void {
  const allocate = (
    bench: WriterBench,
    ino: Ino,
    how: 'allocate' | 'zero' | 'punch',
    { offset, length, keepSize = false }: { offset: number; length: number; keepSize?: boolean },
  ) =>
    bench.writer.fallocate(
      ino,
      { mode: { how, keepSize }, offset: BigInt(offset), length: BigInt(length) },
      bench.root,
    );

  it('grows a file, or not', async () => {
    const bench = given();
    const ino = await bench.file('grown', ROOT_INO, 100);
    expect((await allocate(bench, ino, 'allocate', { offset: 50, length: 9000 })).length).toBe(
      9050n,
    );
    expect(await plan(bench, ino, 0)).toHaveLength(1);
    const kept = await allocate(bench, ino, 'allocate', {
      offset: 0,
      length: 20_000,
      keepSize: true,
    });
    expect(kept.length).toBe(9050n);
  });

  it('makes holes, over chunk borders and never beyond the end', async () => {
    const bench = given();
    const ino = await bench.file('holed', ROOT_INO, 100);
    await bench.write(ino, CHUNK, 100);
    await allocate(bench, ino, 'punch', { offset: CHUNK - 10, length: 1000, keepSize: true });
    expect((await plan(bench, ino, 1)).every((piece) => piece.endsWith(':0'))).toBe(true);
    expect((await plan(bench, ino, 0)).at(-1)).toBe(`${CHUNK - 10}+10:0`);
    const zeroed = await allocate(bench, ino, 'zero', { offset: CHUNK + 90, length: 100 });
    expect(zeroed.length).toBe(BigInt(CHUNK + 190));
    expect((await bench.engine.readChunk(ino, 1, bench.root.signal)).at(-1)).toMatchObject({
      pos: 90,
      len: 10,
    });
  });

  it('refuses ranges that cannot be', async () => {
    const bench = given();
    const ino = await bench.file('ranges');
    const dir = await bench.mkdir('range dir');
    const node = { type: FileType.fifo, mode: 0o600, umask: 0 };
    const fifo = await bench.writer.mknod({ parent: dir, name: text('fifo') }, node, bench.root);
    const range = { offset: 0, length: 10 };
    expect(await refusal(bench, () => allocate(bench, ino, 'punch', range))).toBe('EINVAL');
    expect(await refusal(bench, () => allocate(bench, ino, 'zero', { offset: 0, length: 0 }))).toBe(
      'EINVAL',
    );
    expect(
      await refusal(bench, () => allocate(bench, ino, 'zero', { offset: -1, length: 5 })),
    ).toBe('EINVAL');
    expect(
      await refusal(bench, () => allocate(bench, ino, 'zero', { offset: 2 ** 57, length: 5 })),
    ).toBe('EFBIG');
    expect(await refusal(bench, () => allocate(bench, dir, 'zero', range))).toBe('EPERM');
    expect(await refusal(bench, () => allocate(bench, fifo.ino, 'zero', range))).toBe('EPIPE');
    await bench.writer.setattr(ino, { flags: 2 }, bench.root);
    expect(await refusal(bench, () => allocate(bench, ino, 'zero', range))).toBe('EPERM');
    await expect(allocate(bench, ino, 'allocate', range)).resolves.toBeDefined();
  });
}

function copying(given: Given): void {
  const copy = (
    bench: WriterBench,
    [from, a]: [Ino, number],
    [to, b]: [Ino, number],
    length: number,
  ) =>
    bench.writer.copyFileRange(
      {
        from: { ino: from, offset: BigInt(a) },
        to: { ino: to, offset: BigInt(b) },
        length: BigInt(length),
      },
      bench.root,
    );

  it('shares slices, holes included, and counts their references', async () => {
    const bench = given();
    const from = await bench.file('source');
    const first = await bench.write(from, 0, 5000);
    const second = await bench.write(from, CHUNK - 100, 100);
    const to = await bench.file('target', ROOT_INO, 20_000);
    const { copied, attr } = await copy(bench, [from, 1000], [to, 2000], CHUNK);
    expect(copied).toBe(BigInt(CHUNK - 1000));
    expect(attr.length).toBe(BigInt(CHUNK + 1000));
    await bench.sound();
    const pieces = await plan(bench, to, 0);
    expect(pieces).toContain(`2000+4000:${first}`);
    expect(pieces).toContain(`6000+${CHUNK - 6000}:0`);
    expect((await plan(bench, to, 1)).at(-1)).toBe(`900+100:${second}`);
    expect((await copy(bench, [from, CHUNK], [to, 0], 5)).copied).toBe(0n);
    await bench.writer.unlink({ parent: ROOT_INO, name: text('source') }, bench.root);
  });

  it('refuses ranges that overlap, and what is no file', async () => {
    const bench = given();
    const ino = await bench.file('self', ROOT_INO, 1000);
    const dir = await bench.mkdir('copy dir');
    expect(await refusal(bench, () => copy(bench, [ino, 0], [ino, 99], 100))).toBe('EINVAL');
    expect(await refusal(bench, () => copy(bench, [dir, 0], [ino, 0], 100))).toBe('EINVAL');
    expect(await refusal(bench, () => copy(bench, [ino, 0], [NOWHERE, 0], 100))).toBe('ENOENT');
    expect((await copy(bench, [ino, 0], [ino, 100], 100)).copied).toBe(100n);
    await bench.writer.setattr(ino, { flags: 1 }, bench.root);
    expect(await refusal(bench, () => copy(bench, [ino, 0], [ino, 500], 10))).toBe('EPERM');
  });
}
