import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { damageFiles, seededRandom } from '../servers/damage.ts';
import { startDaemon } from '../servers/daemons.ts';
import { detach } from '../servers/mounted.ts';
import { startReader } from '../servers/readers.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';

/** Two nodes crash beside each other, each so often. */
const LANES = 2;
const ROUNDS = 25;
const KILLED_AFTER_BYTES_MAX = 12 * 2 ** 20;
/** Where the whole cache is warm, threads read it by themselves and nothing more is brought. */
const KILLED_AFTER_WARM_BYTES = 200 * 2 ** 20;
const DAMAGED_PER_ROUND = 6;
/** What readers see when the daemon dies; anything else is our fault. */
const DIED = /^(ENOTCONN|ECONNABORTED|EIO|ENOENT) /;

let volume: SyntheticVolume;
const files: SyntheticFile[] = [];

beforeAll(async () => {
  // Both kinds of cache files: with their checksums in the name, and in a second file.
  volume = await makeSyntheticVolume({ bucket: await folderBucket(), blockKib: 1024 });
  for (let index = 0; index < 16; index += 1) {
    files.push(await volume.addFile(`large/${index}`, 1_500_000 + index * 33_333));
  }
  for (let index = 0; index < 150; index += 1) {
    files.push(await volume.addFile(`small/${index}`, 1 + index * 2_000));
  }
});

afterAll(() => volume?.stop());

/** One life of a daemon that reads at random while it writes its cache, and is killed in the middle. */
async function crash(dir: string, random: () => number): Promise<{ fromDisk: number }> {
  const daemon = await startDaemon({
    metaUrl: volume.metaUrl,
    dir,
    // Next to no memory, so that what is read again comes from the disk.
    args: ['--memory-cache-size', '4', '--buffer-size', '64', '--cache-size', '64'],
  });
  const order = files.toSorted(() => random() - 0.5);
  const reader = startReader({
    mountpoint: daemon.mountpoint,
    files: order,
    passes: 100,
    direct: true,
  });
  try {
    const read = (from: string) => daemon.metric('juicefs_mesh_read_bytes_total', from);
    const readByThreads = () =>
      daemon.metric('juicefs_fuse_worker_read_bytes_total', 'from="disk"');
    const enough = random() * KILLED_AFTER_BYTES_MAX;
    await waitUntil(
      'bytes to be read',
      async () =>
        (await read('from=')) > enough || (await readByThreads()) > KILLED_AFTER_WARM_BYTES,
    );
    const fromDisk = await read('from="disk"');
    await daemon.process.stop('SIGKILL');
    return { fromDisk };
  } finally {
    await daemon.process.stop('SIGKILL');
    reader.finish();
    const { wrong, errors } = await reader.result;
    expectNothing([...wrong, ...errors.filter((line) => !DIED.test(line))]);
  }
}

function expectNothing(lines: readonly string[]): void {
  if (lines.length > 0) throw new Error(`a reader saw:\n${lines.join('\n')}`);
}

/** @returns how much was read from disks that had been through a crash */
async function crashAgainAndAgain(seed: number): Promise<number> {
  const random = seededRandom(seed);
  const dir = await makeTempDir('crash');
  let fromDisk = 0;
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      fromDisk += (await crash(dir, random)).fromDisk;
      await damageFiles(join(dir, 'cache'), DAMAGED_PER_ROUND, random);
    }
    return fromDisk;
  } catch (cause) {
    throw new Error(`seed ${seed}`, { cause });
  } finally {
    await detach(join(dir, 'mnt'));
  }
}

test(`no wrong byte after ${LANES * ROUNDS} crashes and damaged cache files`, async () => {
  const seeds = Array.from({ length: LANES }, (_, lane) => Date.now() + lane);
  const lanes = await Promise.allSettled(seeds.map(crashAgainAndAgain));
  for (const lane of lanes) {
    if (lane.status === 'rejected') throw lane.reason;
    // Otherwise nothing was proved.
    expect(lane.value).toBeGreaterThan(30 * 2 ** 20);
  }
}, 300_000);

test('a cache that was damaged everywhere is read again from the origin', async () => {
  const dir = await makeTempDir('damaged');
  const options = { metaUrl: volume.metaUrl, dir, args: ['--memory-cache-size', '4'] };
  const read = async () => {
    const daemon = await startDaemon(options);
    try {
      const result = await startReader({ mountpoint: daemon.mountpoint, files }).result;
      const damaged = await daemon.metric('juicefs_blockcache_damaged');
      return { wrong: result.wrong, errors: result.errors, damaged };
    } finally {
      await daemon.stop();
    }
  };
  expect(await read()).toEqual({ wrong: [], errors: [], damaged: 0 });
  await damageFiles(join(dir, 'cache'), 200, seededRandom(1));
  const again = await read();
  expect(again).toMatchObject({ wrong: [], errors: [] });
  expect(again.damaged).toBeGreaterThan(20);
});
