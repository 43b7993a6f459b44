import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { startDaemon, startGroup, type TestDaemon } from '../servers/daemons.ts';
import { readAll, totalBytes } from '../servers/readers.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';
import { waitUntil } from '../servers/wait-until.ts';

const FOLDERS = 8;
const FILES_PER_FOLDER = 100;
const READERS = 4;
const GROUP = ['--memory-cache-size', '256', '--cache-dir', 'memory'];

/** The same order each time (a linear congruential generator decides). */
function shuffled<T>(list: readonly T[], seed: number): T[] {
  const left = [...list];
  let state = seed;
  return list.map(() => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return left.splice(state % left.length, 1)[0] as T;
  });
}

/** Several readers that share the files, as the workers of a data loader do. */
async function epoch(node: TestDaemon, files: readonly SyntheticFile[]) {
  const shares = Array.from({ length: READERS }, (_, at) =>
    files.filter((_file, index) => index % READERS === at),
  );
  const results = await Promise.all(shares.map((share) => readAll(node.mountpoint, share)));
  return {
    bytes: results.reduce((sum, { bytes }) => sum + bytes, 0),
    wrong: results.flatMap(({ wrong }) => wrong),
    errors: results.flatMap(({ errors }) => errors),
  };
}

const allRequests = (node: TestDaemon) => node.metric('juicefs_remotecache_get_requests');
const aheadFiles = (node: TestDaemon, outcome: string) =>
  node.metric('juicefs_fileahead_files', `outcome="${outcome}"`);
const originBytes = (node: TestDaemon) =>
  node.metric('juicefs_mesh_loaded_bytes_total', 'from="origin"');

let volume: SyntheticVolume;
let nodes: TestDaemon[] = [];
const files: SyntheticFile[] = [];

beforeAll(async () => {
  volume = await makeSyntheticVolume({ bucket: await folderBucket() });
  for (let index = 0; index < FOLDERS * FILES_PER_FOLDER; index += 1) {
    const folder = Math.floor(index / FILES_PER_FOLDER);
    const sizeBytes = 20_000 + ((index * 7919) % 80_000);
    files.push(await volume.addFile(`set/${folder}/${index}`, sizeBytes));
  }
  nodes = await startGroup(3, { metaUrl: volume.metaUrl, args: GROUP });
});

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await volume?.stop();
});

describe('small files in a group of three', { timeout: 120_000 }, () => {
  const allRight = { bytes: 0, wrong: [], errors: [] };
  const origins = async () => (await Promise.all(nodes.map(originBytes))).reduce((a, b) => a + b);

  test('the first epoch, in order, fetches each byte from the origin once', async () => {
    const [first] = nodes as [TestDaemon];
    expect(await epoch(first, files)).toEqual({ ...allRight, bytes: totalBytes(files) });
    expect(await origins()).toBe(totalBytes(files));
    expect(await aheadFiles(first, 'used')).toBeGreaterThan(files.length / 2);
  });

  test('a shuffled epoch on the second node takes few requests and nothing from the origin', async () => {
    const [, second] = nodes as [TestDaemon, TestDaemon];
    const before = await origins();
    // As an owner it has asked others before, when it fetched its share.
    const asked = await allRequests(second);
    const seen = await epoch(second, shuffled(files, 1));
    expect(seen).toEqual({ ...allRight, bytes: totalBytes(files) });
    expect(await origins()).toBe(before);
    const count = (await allRequests(second)) - asked;
    // Two owners, 64 blocks a request at most; the rest are readers who were there first.
    expect(count).toBeLessThan(files.length / 4);
    const brought = await aheadFiles(second, 'brought');
    expect(brought).toBeGreaterThan(files.length / 2);
    expect(await aheadFiles(second, 'wasted')).toBeLessThan(brought / 20);
  });

  test('files that are overwritten after they were brought are read as they are now', async () => {
    const [, , third] = nodes as [TestDaemon, TestDaemon, TestDaemon];
    const some = files.filter((_file, index) => index % 4 === 0);
    expect(await epoch(third, some)).toMatchObject({ wrong: [], errors: [] });
    const isBrought = async () => (await aheadFiles(third, 'brought')) > files.length / 2;
    await waitUntil('most files to be brought', isBrought);
    for (const [index, file] of files.entries()) {
      if (index % 4 !== 1) continue;
      files[index] = await volume.rewrite(file, file.sizeBytes + (index % 3) - 1);
    }
    const seen = await epoch(third, shuffled(files, 2));
    expect(seen).toEqual({ ...allRight, bytes: totalBytes(files) });
  });
});

describe('what the kernel remembers of files that are brought', { timeout: 120_000 }, () => {
  const few: SyntheticFile[] = [];
  beforeAll(async () => {
    for (let index = 0; index < 20; index += 1) {
      few.push(await volume.addFile(`few/${index}`, 30_000 + index));
    }
  });

  async function rewriteAll(moreBytes: number): Promise<void> {
    for (const [index, file] of few.entries()) {
      few[index] = await volume.rewrite(file, file.sizeBytes + moreBytes);
    }
  }

  async function untilBrought(node: TestDaemon, count: number): Promise<void> {
    const isBrought = async () => (await aheadFiles(node, 'brought')) >= count;
    await waitUntil(`${count} files to be brought`, isBrought);
  }

  test('old attributes, for long: an open sees the new length', async () => {
    const args = ['--cache-dir', 'memory', '--attr-cache', '300', '--entry-cache', '300'];
    const node = await startDaemon({ metaUrl: volume.metaUrl, args });
    try {
      for (const { path } of few) await stat(join(node.mountpoint, path));
      await rewriteAll(5_000);
      const [first] = few as [SyntheticFile];
      expect(await readAll(node.mountpoint, [first])).toMatchObject({ wrong: [], errors: [] });
      await untilBrought(node, 19);
      const seen = await readAll(node.mountpoint, few);
      expect(seen).toMatchObject({ bytes: totalBytes(few), wrong: [], errors: [] });
    } finally {
      await node.stop();
    }
  });

  test('old pages: an open that the main thread does not see drops them', async () => {
    // So few that what is known of the files is forgotten while the kernel still has their pages.
    const args = ['--cache-dir', 'memory', '--open-cache-limit', '60'];
    const node = await startDaemon({ metaUrl: volume.metaUrl, args });
    const returned = () => node.metric('juicefs_meta_shortcut_returned');
    const others = files.slice(-FILES_PER_FOLDER);
    try {
      expect(await readAll(node.mountpoint, few)).toMatchObject({ wrong: [], errors: [] });
      let isBrought = false;
      // What was brought of the others and not opened takes room: it may take more than one time.
      for (let round = 0; round < 6 && !isBrought; round += 1) {
        expect(await readAll(node.mountpoint, others)).toMatchObject({ wrong: [], errors: [] });
        await rewriteAll(0);
        // What the kernel was told of the files is no longer believed, but pages stay.
        await sleep(2_500);
        const brought = await aheadFiles(node, 'brought');
        const [first] = few as [SyntheticFile];
        expect(await readAll(node.mountpoint, [first])).toMatchObject({ wrong: [], errors: [] });
        await sleep(1_000);
        isBrought = (await aheadFiles(node, 'brought')) >= brought + 5;
      }
      expect(isBrought).toBe(true);
      const before = await returned();
      const seen = await readAll(node.mountpoint, few);
      expect(seen).toMatchObject({ bytes: totalBytes(few), wrong: [], errors: [] });
      expect((await returned()) - before).toBeLessThanOrEqual(few.length - 5);
    } finally {
      await node.stop();
    }
  });
});
