import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { startWriter, writableVolume } from '../servers/writable.ts';
import { EXT4, OURS } from './differences.ts';
import type { Difference, Table } from './script.ts';
import { casesOf, isExt4, onDisk, type Place, runCases } from './suite.ts';
import { accessTable } from './tables/access.ts';
import { chmodTable } from './tables/chmod.ts';
import { chownTable } from './tables/chown.ts';
import { copyTable } from './tables/copy-file-range.ts';
import { fallocateTable } from './tables/fallocate.ts';
import { flockTable } from './tables/flock.ts';
import { linkTable } from './tables/link.ts';
import { listingTable } from './tables/listing.ts';
import { mkdirTable } from './tables/mkdir.ts';
import { mknodTable } from './tables/mknod.ts';
import { openTable } from './tables/open.ts';
import { recordLockTable } from './tables/record-locks.ts';
import { renameTable } from './tables/rename.ts';
import { rmdirTable } from './tables/rmdir.ts';
import { symlinkTable } from './tables/symlink.ts';
import { truncateTable } from './tables/truncate.ts';
import { unlinkTable } from './tables/unlink.ts';
import { utimensTable } from './tables/utimens.ts';
import { writeTable } from './tables/write.ts';
import { xattrTable } from './tables/xattr.ts';

const TABLES: Readonly<Record<string, Table>> = {
  ...{ open: openTable, write: writeTable, truncate: truncateTable, fallocate: fallocateTable },
  ...{ copy_file_range: copyTable, mkdir: mkdirTable, mknod: mknodTable, unlink: unlinkTable },
  ...{ rmdir: rmdirTable, rename: renameTable, link: linkTable, symlink: symlinkTable },
  ...{ chmod: chmodTable, chown: chownTable, utimensat: utimensTable, xattr: xattrTable },
  ...{ access: accessTable, getdents: listingTable, flock: flockTable, fcntl: recordLockTable },
};
const CASES = casesOf(TABLES);
const hasExt4 = await isExt4();

async function onVolume(engine: 'redis' | 'sqlite'): Promise<Place> {
  const volume = await writableVolume(engine, { blockKib: 64 });
  const daemon = await startWriter(volume, { args: ['--skip-dir-mtime', '0'] });
  const folder = join(daemon.mountpoint, 'posix');
  await mkdir(folder);
  const stop = async () => {
    await daemon.stop();
    await volume.stop();
  };
  return { folder, stop };
}

function suite(name: string, open: () => Promise<Place>, differences: readonly Difference[]): void {
  describe.skipIf(name === 'ext4' && !hasExt4)(`system calls on ${name}`, () => {
    let place: Place;
    runCases(
      CASES,
      async () => {
        place = await open();
        return place;
      },
      { differences },
    );
    afterAll(() => place?.stop());
  });
}

suite('ext4', onDisk, EXT4);
suite('redis', () => onVolume('redis'), OURS);
suite('sqlite', () => onVolume('sqlite'), OURS);

test('every difference is of a case that there is', () => {
  const titles = new Set(CASES.map(({ at }) => at));
  expect([...OURS, ...EXT4].filter(({ at }) => !titles.has(at))).toEqual([]);
});
