import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startWriter, writableVolume } from '../servers/writable.ts';
import { makeTempDir } from '../servers/temp.ts';
import { Agents } from './agents.ts';
import { EXT4, OURS } from './differences.ts';
import { type Difference, runCase, type Table } from './script.ts';
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
const CASES = Object.entries(TABLES).flatMap(([operation, table]) =>
  Object.entries(table).map(([title, script]) => ({ at: `${operation}: ${title}`, script })),
);
/** @see statfs(2) */
const EXT4_MAGIC = 0xef53;

/** The folder for temporary files may be on something else, with rules of its own. */
const isExt4 = (await statfs(await makeTempDir('disk'))).type === EXT4_MAGIC;

/** A folder in which the tables are run. */
interface Place {
  readonly folder: string;
  stop(): Promise<void>;
}

async function onDisk(): Promise<Place> {
  return { folder: await makeTempDir('ext4'), stop: () => Promise.resolve() };
}

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
  describe.skipIf(name === 'ext4' && !isExt4)(`system calls on ${name}`, () => {
    let place: Place;
    let agents: Agents;

    beforeAll(async () => {
      place = await open();
      agents = Agents.start(place.folder);
    });

    afterAll(async () => {
      await agents?.stop();
      await place?.stop();
    });

    test.each(CASES)('$at', async ({ at, script }) => {
      const folder = join(place.folder, String(CASES.findIndex((each) => each.at === at)));
      await mkdir(folder);
      expect(await agents.run('root', ['chmod', folder, '777'])).toBe('ok');
      await agents.begin(folder);
      const mine = differences.filter((difference) => difference.at === at);
      const { found, wanted } = await runCase(agents, script, mine);
      expect(found).toEqual(wanted);
    });
  });
}

suite('ext4', onDisk, EXT4);
suite('redis', () => onVolume('redis'), OURS);
suite('sqlite', () => onVolume('sqlite'), OURS);

test('every difference is of a case that there is', () => {
  const titles = new Set(CASES.map(({ at }) => at));
  expect([...OURS, ...EXT4].filter(({ at }) => !titles.has(at))).toEqual([]);
});
