import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { startDaemon } from '../servers/daemons.ts';
import { type FileOrigin, startFileOrigin } from '../servers/file-origin.ts';
import { readAll, totalBytes } from '../servers/readers.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';
import { makeTempDir } from '../servers/temp.ts';

const MIB = 2 ** 20;

let volume: SyntheticVolume;
let origin: FileOrigin;
const files: SyntheticFile[] = [];

beforeAll(async () => {
  const bucket = await folderBucket();
  volume = await makeSyntheticVolume({ bucket });
  origin = await startFileOrigin(bucket.dir);
  files.push(await volume.addFile('large', 21 * MIB + 3));
  for (let index = 0; index < 30; index += 1) {
    files.push(await volume.addFile(`small/${index}`, 1 + index * 7001));
  }
});

afterAll(async () => {
  await origin?.stop();
  await volume?.stop();
});

test('a restarted daemon serves from its SSD while the origin cannot be reached', async () => {
  const where = {
    metaUrl: volume.metaUrl,
    dir: await makeTempDir('warm'),
    args: [
      ...['--storage', 'minio', '--bucket', `${origin.endpoint}/bucket`],
      ...['--memory-cache-size', '128', '--cache-size', '1024'],
    ],
    env: { MINIO_ACCESS_KEY: 'any', MINIO_SECRET_KEY: 'any' },
  };
  const first = await startDaemon(where);
  try {
    const found = await readAll(first.mountpoint, files);
    expect(found).toMatchObject({ wrong: [], errors: [] });
  } finally {
    await first.stop();
  }
  expect(origin.requests.filter(({ status }) => status < 300).length).toBeGreaterThan(files.length);

  await origin.stop();
  const second = await startDaemon(where);
  try {
    const found = await readAll(second.mountpoint, files);
    expect(found).toMatchObject({ wrong: [], errors: [], bytes: totalBytes(files) });
    expect(await second.metric('juicefs_mesh_read_bytes_total', 'from="disk"')).toBeGreaterThan(0);
    expect(await second.metric('juicefs_mesh_read_bytes_total', 'from="origin"')).toBe(0);
  } finally {
    await second.stop();
  }
});
