import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { sharedRgw } from './shared-rgw.ts';
import { makeTempDir } from './temp.ts';

/** Somewhere to put a volume's objects, and how its setting names the place. */
export interface Bucket {
  readonly setting: {
    readonly Storage: string;
    readonly Bucket: string;
    readonly AccessKey?: string;
    readonly SecretKey?: string;
  };
  put(key: string, bytes: Uint8Array): Promise<void>;
}

/** A new folder on the local disk. */
export async function folderBucket(): Promise<Bucket & { readonly dir: string }> {
  const dir = await makeTempDir('bucket');
  return {
    dir,
    setting: { Storage: 'file', Bucket: `${dir}/` },
    put: async (key, bytes) => {
      const path = join(dir, key);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, bytes);
    },
  };
}

/** A new bucket on this run's object gateway. */
export async function gatewayBucket(): Promise<Bucket & { readonly name: string }> {
  const { endpoint, accessKey, secretKey } = await sharedRgw();
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
  });
  const name = `volume-${randomUUID()}`;
  await client.send(new CreateBucketCommand({ Bucket: name }));
  return {
    name,
    setting: {
      Storage: 's3',
      Bucket: `${endpoint}/${name}`,
      AccessKey: accessKey,
      SecretKey: secretKey,
    },
    put: async (key, bytes) => {
      await client.send(new PutObjectCommand({ Bucket: name, Key: key, Body: bytes }));
    },
  };
}
