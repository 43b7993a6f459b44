import { GetObjectCommand, HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type FileOrigin, startFileOrigin } from '../servers/file-origin.ts';
import { fixtureDir } from '../servers/fixtures.ts';

const Key = 'plain/juicefs_uuid';
const SIZE = 36;
let origin: FileOrigin;
let client: S3Client;

beforeAll(async () => {
  origin = await startFileOrigin(`${fixtureDir('plain')}/objects`);
  client = new S3Client({
    endpoint: origin.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  });
});

beforeEach(() => {
  delete origin.faults.status;
  delete origin.faults.cutAfterBytes;
});

afterAll(() => origin.stop());

async function read(Range?: string): Promise<number | undefined> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: 'b', Key, Range }));
  return (await Body?.transformToByteArray())?.length;
}

it('the file origin serves objects and ranges to the S3 client and counts them', async () => {
  const before = origin.requests.length;
  expect(await read()).toBe(SIZE);
  expect(await read('bytes=4-7')).toBe(4);
  expect(await read('bytes=-5')).toBe(5);
  const head = await client.send(new HeadObjectCommand({ Bucket: 'b', Key }));
  expect(head.ContentLength).toBe(SIZE);
  expect(origin.requests.slice(before).map(({ bodyBytes }) => bodyBytes)).toEqual([SIZE, 4, 5, 0]);
});

it('the file origin answers as S3 does to what it has not', async () => {
  const missing = client.send(new GetObjectCommand({ Bucket: 'b', Key: 'none' }));
  await expect(missing).rejects.toMatchObject({ name: 'NoSuchKey' });
  await expect(read('bytes=100-200')).rejects.toMatchObject({ name: 'InvalidRange' });
});

it('the file origin fails on demand', async () => {
  origin.faults.status = 503;
  await expect(read()).rejects.toMatchObject({ name: 'SlowDown' });
  delete origin.faults.status;
  origin.faults.cutAfterBytes = 10;
  await expect(read()).rejects.toThrow(/aborted|ended|hang up/);
});
