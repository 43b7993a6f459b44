import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BackingFiles } from '../../src/fuse/driver.ts';
import { FileType } from '../../src/posix/attr.ts';
import { Errno } from '../../src/posix/errno.ts';
import { MemoryVolume } from '../fuse/memory-volume.ts';
import { makeTempDir } from '../servers/temp.ts';
import { cannotMount, mountVolume, python, type TestMount } from './fuse-mount.ts';

const CONTENT = 'old '.repeat(2000);
const LENGTH = CONTENT.length;

/** Opens a file twice and prints what each way of the second handle gives. */
const TWICE = `
import mmap, os, sys
a = os.open(sys.argv[1], os.O_RDONLY); print(os.read(a, 3).decode())
try:
    b = os.open(sys.argv[1], os.O_RDONLY)
    print(os.pread(b, 3, 0).decode(), mmap.mmap(b, 0, mmap.MAP_SHARED, mmap.PROT_READ)[:3].decode())
except OSError as error: print(error.errno)`;

/** What the kernel does, on which vfs/passthrough.ts is built. */
describe.skipIf(cannotMount)('files that the kernel reads by itself', () => {
  let mount: TestMount;
  let backing: BackingFiles | undefined;
  let volume: MemoryVolume;
  let descriptor: number;

  beforeEach(async () => {
    const path = join(await makeTempDir('backing'), 'file');
    writeFileSync(path, CONTENT);
    descriptor = openSync(path, 'r');
    volume = new MemoryVolume();
    mount = await mountVolume(volume, { passthrough: true });
    backing = mount.driver.backing;
  });

  afterEach(async () => {
    await mount.close();
    closeSync(descriptor);
  });

  /** @returns the program's lines; undefined where the kernel does not do it */
  async function twice(second: (id: number) => { backingId?: number; directIo?: boolean }) {
    const id = backing?.open(descriptor, LENGTH) ?? -Errno.ENOSYS;
    if (id < 0) return undefined;
    const file = volume.add('file', FileType.file, 'new '.repeat(2000));
    file.openings = [{ backingId: id }, second(id)];
    return (await python(TWICE, join(mount.mountpoint, 'file'))).split('\n');
  }

  it('are not handed over with another length', ({ skip }) => {
    if (backing === undefined) skip('needs FUSE passthrough');
    expect(backing?.open(descriptor, LENGTH - 1)).toBe(-Errno.EIO);
  });

  it('may be opened again with the same file only', async ({ skip }) => {
    const same = await twice((backingId) => ({ backingId }));
    if (same === undefined) skip('needs FUSE passthrough');
    expect(same).toEqual(['old', 'old old']);
    expect(volume.reads).toBe(0);
  });

  it('cannot be opened in the ordinary way meanwhile', async ({ skip }) => {
    const plain = await twice(() => ({}));
    if (plain === undefined) skip('needs FUSE passthrough');
    expect(plain).toEqual(['old', String(Errno.EIO)]);
  });

  it('can be read through us, but are mapped as they are all the same', async ({ skip }) => {
    const direct = await twice((backingId) => ({ backingId, directIo: true }));
    if (direct === undefined) skip('needs FUSE passthrough');
    expect(direct).toEqual(['old', 'new old']);
  });
});
