import {
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { beforeAll, expect, it } from 'vitest';
import { getBytesServed, type RgwAddress, requestsServed } from '../servers/rgw.ts';
import { sharedRgw } from '../servers/shared-rgw.ts';

let rgw: RgwAddress;
let client: S3Client;

beforeAll(async () => {
  rgw = await sharedRgw();
  client = new S3Client({
    endpoint: rgw.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: rgw.accessKey, secretAccessKey: rgw.secretKey },
  });
});

async function read(bucket: string, key: string, range?: string): Promise<number> {
  const command = new GetObjectCommand({ Bucket: bucket, Key: key, Range: range });
  const { Body } = await client.send(command);
  return (await Body?.transformToByteArray())?.length ?? 0;
}

it('the object gateway counts the bytes that it serves, ranges by their length', async () => {
  await client.send(new CreateBucketCommand({ Bucket: 'counted' }));
  await client.send(
    new PutObjectCommand({ Bucket: 'counted', Key: 'chunks/0/1_0', Body: Buffer.alloc(70_000, 7) }),
  );
  expect(await getBytesServed(rgw, 'counted')).toEqual({ requests: 0, bytes: 0 });

  expect(await read('counted', 'chunks/0/1_0')).toBe(70_000);
  expect(await read('counted', 'chunks/0/1_0', 'bytes=100-199')).toBe(100);
  await expect(read('counted', 'chunks/none')).rejects.toMatchObject({
    name: 'NoSuchKey',
  });

  expect(await getBytesServed(rgw, 'counted')).toEqual({ requests: 2, bytes: 70_100 });
  expect(await getBytesServed(rgw, 'counted/other')).toEqual({ requests: 0, bytes: 0 });
  // The gateway is shared with other test files.
  const ours = (await requestsServed(rgw)).filter(({ path }) => path.startsWith('/counted/'));
  const ranges = ours.flatMap(({ range }) => range ?? []);
  expect(ranges).toEqual(['bytes=100-199']);
});

it('the object gateway is shared by all callers of a run', async () => {
  expect(await sharedRgw()).toEqual(rgw);
});
