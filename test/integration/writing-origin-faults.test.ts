import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { type FileOrigin, startFileOrigin } from '../servers/file-origin.ts';
import { makeSyntheticVolume, type SyntheticVolume } from '../servers/synthetic-volume.ts';

const FAULT_MS = 3_000;

let volume: SyntheticVolume;
let origin: FileOrigin;
let patient: TestDaemon;
let hasty: TestDaemon;

beforeAll(async () => {
  const bucket = await folderBucket();
  volume = await makeSyntheticVolume({ bucket, blockKib: 64 });
  origin = await startFileOrigin(bucket.dir);
  const start = (name: string, args: readonly string[]) =>
    startDaemon({
      ...{ metaUrl: volume.metaUrl, name },
      args: [
        ...['--read-write', '--storage', 'minio', '--bucket', `${origin.endpoint}/bucket`],
        ...['--cache-dir', 'memory', '--memory-cache-size', '64', ...args],
      ],
      env: { MINIO_ACCESS_KEY: 'any', MINIO_SECRET_KEY: 'any' },
    });
  [patient, hasty] = await Promise.all([
    start('patient', []),
    start('hasty', ['--io-retries', '0', '--put-timeout', '1']),
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

test.each([
  ['answers "slow down"', { status: 503 }],
  ['answers late', { delayMs: 400 }],
] as const)('an origin that %s for a while costs writers time only', async (name, faults) => {
  Object.assign(origin.faults, faults);
  const path = join(patient.mountpoint, name.replaceAll(/\W/g, '-'));
  const content = Buffer.alloc(1_500_000, name);
  const writing = writeFile(path, content);
  await sleep(FAULT_MS);
  origin.heal();
  await writing;
  expect(
    (await readFile(join(hasty.mountpoint, path.split('/').at(-1) ?? ''))).equals(content),
  ).toBe(true);
});

test('an origin that takes nothing is told by fsync, by close, and by writes after that', async () => {
  const file = await open(join(hasty.mountpoint, 'lost'), 'w');
  await file.write('kept');
  await file.sync();
  Object.assign(origin.faults, { status: 503 });
  await file.write(' lost');
  await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' });
  await expect(file.write('more')).rejects.toMatchObject({ code: 'EIO' });
  await expect(file.close()).rejects.toMatchObject({ code: 'EIO' });
  origin.heal();
  expect(await readFile(join(hasty.mountpoint, 'lost'), 'utf8')).toBe('kept');
  expect(await hasty.metric('juicefs_write_lost_bytes')).toBe(5);
  // Opened again, it can be written to again.
  await writeFile(join(hasty.mountpoint, 'lost'), 'better');
  expect(await readFile(join(patient.mountpoint, 'lost'), 'utf8')).toBe('better');
});
