import { expect, test } from 'vitest';
import type { DirQuota } from '../../src/meta/engine.ts';
import { FileType } from '../../src/posix/attr.ts';
import { ROOT_INO, toIno } from '../../src/posix/ino.ts';
import { context, fakeVfs } from './fake-vfs.ts';

const directory = { type: FileType.directory };

function quota(changes: Partial<DirQuota>): DirQuota {
  return { maxBytes: 0n, maxInodes: 0n, usedBytes: 0n, usedInodes: 0n, ...changes };
}

test('without limits the volume claims 1 PiB and 10 Mi free inodes, more when it fills', async () => {
  const { vfs, meta } = fakeVfs();
  meta.counters = { usedBytes: 8192n, inodes: 5n };
  expect(await vfs.statfs(context(), ROOT_INO)).toEqual({
    blockBytes: 4096,
    blocks: 2n ** 38n,
    blocksFree: 2n ** 38n - 2n,
    files: 10_485_765n,
    filesFree: 10_485_760n,
    nameBytesMax: 255,
  });
  meta.counters = { usedBytes: 2n ** 50n, inodes: 50_000_000n };
  expect(await vfs.statfs(context(), ROOT_INO)).toMatchObject({
    blocks: 2n ** 39n,
    filesFree: 20_971_520n,
  });
  meta.counters = { usedBytes: -1n, inodes: -1n };
  expect(await vfs.statfs(context(), ROOT_INO)).toMatchObject({
    blocksFree: 2n ** 38n,
    files: 10_485_760n,
  });
});

test('limits of the volume count, also when they are passed', async () => {
  const { vfs, meta } = fakeVfs({}, { capacityBytes: 40_960n, inodesMax: 10n });
  meta.counters = { usedBytes: 4096n, inodes: 4n };
  expect(await vfs.statfs(context(), ROOT_INO)).toMatchObject({
    blocks: 10n,
    blocksFree: 9n,
    files: 10n,
    filesFree: 6n,
  });
  meta.counters = { usedBytes: 49_152n, inodes: 12n };
  expect(await vfs.statfs(context(), ROOT_INO)).toMatchObject({
    blocks: 12n,
    blocksFree: 0n,
    filesFree: 0n,
  });
});

test('directory quotas on the way up lower what is left, the nearest says what is used', async () => {
  const { vfs, meta } = fakeVfs();
  const a = meta.add(ROOT_INO, 'a', 2n, directory);
  const b = meta.add(a, 'b', 3n, { ...directory, parent: a });
  meta.quotas.set(
    a,
    quota({ maxBytes: 81_920n, usedBytes: 40_960n, maxInodes: 5n, usedInodes: 9n }),
  );
  meta.quotas.set(b, quota({ maxBytes: 409_600n, usedBytes: 8192n, usedInodes: 2n }));
  expect(await vfs.statfs(context(), b)).toMatchObject({
    blocks: 12n,
    blocksFree: 10n,
    files: 2n,
    filesFree: 0n,
  });
  const off = fakeVfs({}, { dirStats: false });
  off.meta.quotas.set(ROOT_INO, quota({ maxBytes: 4096n }));
  expect((await off.vfs.statfs(context(), ROOT_INO)).blocks).toBe(2n ** 38n);
});

test('a loop of parents ends', async () => {
  const { vfs, meta } = fakeVfs();
  const a = toIno(2n);
  meta.add(ROOT_INO, 'a', a, { ...directory, parent: a });
  expect((await vfs.statfs(context(), a)).blocks).toBe(2n ** 38n);
});

test('counters that do not come in time are taken from the last answer', async () => {
  const { vfs, meta, clock } = fakeVfs();
  meta.counters = { usedBytes: 4096n, inodes: 1n };
  await vfs.statfs(context(), ROOT_INO);
  meta.before = (call) => (call === 'usage' ? new Promise(() => undefined) : Promise.resolve());
  const reply = await clock.drive(vfs.statfs(context(), ROOT_INO));
  expect(reply.blocksFree).toBe(2n ** 38n - 1n);
});
