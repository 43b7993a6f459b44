import { readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { filesBelow } from '../servers/damage.ts';
import { startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { type FileOrigin, startFileOrigin } from '../servers/file-origin.ts';
import { readAll, startReader } from '../servers/readers.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';

const FINE = { wrong: [], errors: [] };
const FAULT_MS = 2_000;

let volume: SyntheticVolume;
let dir: string;
let origin: FileOrigin;
/** Tries for long, as by default. */
let patient: TestDaemon;
/** Gives up soon. */
let hasty: TestDaemon;
let made = 0;

beforeAll(async () => {
  const bucket = await folderBucket();
  dir = bucket.dir;
  volume = await makeSyntheticVolume({ bucket });
  origin = await startFileOrigin(dir);
  const start = (args: readonly string[]) =>
    startDaemon({
      metaUrl: volume.metaUrl,
      args: [
        ...['--storage', 'minio', '--bucket', `${origin.endpoint}/bucket`],
        ...['--cache-dir', 'memory', '--memory-cache-size', '64', ...args],
      ],
      env: { MINIO_ACCESS_KEY: 'any', MINIO_SECRET_KEY: 'any' },
    });
  [patient, hasty] = await Promise.all([
    start([]),
    start(['--io-retries', '1', '--get-timeout', '1']),
  ]);
});

afterEach(() => {
  origin.heal();
});

afterAll(async () => {
  await Promise.all([patient?.stop(), hasty?.stop()]);
  await origin?.stop();
  await volume?.stop();
});

/** A file that nobody has read yet. */
function addFile(sizeBytes = 9_000_000): Promise<SyntheticFile> {
  made += 1;
  return volume.addFile(`file-${made}`, sizeBytes);
}

/** The hasty one gives up after a second, which a busy machine may need for an answer, too. */
async function untilFine(file: SyntheticFile): Promise<void> {
  await expect.poll(() => readAll(hasty.mountpoint, [file])).toMatchObject(FINE);
}

test.each([
  ['answers "slow down"', { status: 503 }],
  ['cuts bodies', { cutAfterBytes: 700_000 }],
  ['cuts bodies before their first byte', { cutAfterBytes: 0 }],
  ['answers late', { delayMs: 400 }],
] as const)('an origin that %s for a while costs time only', async (_, faults) => {
  const file = await addFile();
  Object.assign(origin.faults, faults);
  const reader = startReader({ mountpoint: patient.mountpoint, files: [file] });
  await sleep(FAULT_MS);
  origin.heal();
  expect(await reader.result).toMatchObject({ ...FINE, bytes: file.sizeBytes });
});

test('requests that the origin never answers are made once more, so that nobody waits for them', async () => {
  const file = await addFile(3_000_000);
  const made = () => patient.metric('juicefs_object_request_hedges', 'outcome="won"');
  const before = await made();
  // The daemon itself would wait for a minute.
  origin.faults.loseNext = 2;
  const reader = startReader({ mountpoint: patient.mountpoint, files: [file] });
  expect(await reader.result).toMatchObject({ ...FINE, bytes: file.sizeBytes });
  expect(await made()).toBeGreaterThan(before);
});

test.each([
  ['only fails', { status: 500 }],
  ['always cuts bodies', { cutAfterBytes: 100_000 }],
  ['never answers', { delayMs: 60_000 }],
] as const)('an origin that %s gives EIO in bounded time, and works again', async (_, faults) => {
  const file = await addFile();
  Object.assign(origin.faults, faults);
  const failed = await readAll(hasty.mountpoint, [file]);
  expect(failed.wrong).toEqual([]);
  expect(failed.errors.join()).toMatch(/^EIO at \d+ of /);
  expect(failed.slowestMs).toBeLessThan(30_000);
  origin.heal();
  await untilFine(file);
});

test.each([
  ['too short', (path: string) => truncate(path, 1000)],
  ['too long', (path: string) => writeFile(path, 'more', { flag: 'a' })],
  ['empty', (path: string) => truncate(path, 0)],
  ['missing', (path: string) => rm(path)],
] as const)('an object that is %s gives EIO, never other bytes', async (_, harm) => {
  const before = new Set(await filesBelow(dir));
  const file = await addFile(3_000_000);
  const [object = ''] = (await filesBelow(dir)).filter((path) => !before.has(path));
  const whole = await readFile(object);
  await harm(object);
  const failed = await readAll(hasty.mountpoint, [file]);
  expect(failed.wrong).toEqual([]);
  expect(failed.errors.join()).toMatch(/^EIO at 0 of /);
  const restored = join(dir, 'restored');
  await writeFile(restored, whole);
  await rename(restored, object);
  await untilFine(file);
});
