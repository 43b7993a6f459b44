import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { BlockOrigin } from '../../src/store/block-origin.ts';
import { createObjectStore } from '../../src/store/create-store.ts';
import { createS3Client } from '../../src/store/s3/s3-client.ts';
import { parseS3Bucket } from '../../src/store/s3/s3-location.ts';
import { objectStoreContract } from '../contract/object-store-contract.ts';
import { runCli } from '../servers/cli.ts';
import { sharedRgw } from '../servers/shared-rgw.ts';
import { makeTempDir } from '../servers/temp.ts';
import { collect, readBody } from '../store/read-body.ts';
import { storeContext, storeSpec } from '../store/store-context.ts';

const { signal } = new AbortController();

async function makeBucket(
  count = 1,
): Promise<{ url: string; accessKey: string; secretKey: string }> {
  const { endpoint, accessKey, secretKey } = await sharedRgw();
  const url = `${endpoint}/store-${randomUUID()}`;
  for (let shard = 0; shard < count; shard += 1) {
    const location = parseS3Bucket(count === 1 ? url : `${url}-${shard}`, {});
    const keys = { accessKey, secretKey, sessionToken: '' };
    const client = createS3Client(location, { keys, tls: {}, env: {}, socketsMax: 5 });
    await client.send(new CreateBucketCommand({ Bucket: location.bucket }));
    client.destroy();
  }
  return { url: count === 1 ? url : `${url}-%d`, accessKey, secretKey };
}

objectStoreContract('s3 on a Ceph gateway', async () => {
  const { url, ...keys } = await makeBucket();
  const spec = { ...storeSpec('s3', url), ...keys };
  return {
    store: await createObjectStore(spec, storeContext(), {}, signal),
    hasChecksums: true,
    dispose: () => Promise.resolve(),
  };
});

objectStoreContract('minio driver without checksums on a Ceph gateway', async () => {
  const { url, ...keys } = await makeBucket();
  const spec = { ...storeSpec('MinIO', `${url}?disable-checksum=true`), ...keys };
  return {
    store: await createObjectStore(spec, storeContext(), {}, signal),
    hasChecksums: false,
    dispose: () => Promise.resolve(),
  };
});

objectStoreContract('two s3 shards on a Ceph gateway', async () => {
  const { url, ...keys } = await makeBucket(2);
  const spec = { ...storeSpec('s3', url), ...keys, shards: 2 };
  return {
    store: await createObjectStore(spec, storeContext(), {}, signal),
    hasChecksums: true,
    dispose: () => Promise.resolve(),
  };
});

describe('s3 on a Ceph gateway', () => {
  test('the checksum that JuiceFS would write is in the metadata', async () => {
    const { url, ...keys } = await makeBucket();
    const store = await createObjectStore(
      { ...storeSpec('s3', url), ...keys },
      storeContext(),
      {},
      signal,
    );
    await store.put('v/hello', new TextEncoder().encode('hello world'), signal);
    const body = await store.get('v/hello', undefined, signal);
    expect(body.crc32c).toBe(3381945770);
    expect(String(await readBody(body))).toBe('hello world');
    await store.close();
  });

  test('wrong keys are denied, without trying again', async () => {
    const { url, accessKey } = await makeBucket();
    const context = storeContext();
    const spec = { ...storeSpec('s3', url), accessKey, secretKey: 'wrong' };
    const store = await createObjectStore(spec, context, {}, signal);
    await expect(store.get('v/x', undefined, signal)).rejects.toMatchObject({ code: 'denied' });
    await expect(store.head('v/x', signal)).rejects.toMatchObject({ code: 'denied' });
    expect(context.metrics.value('object_request_retries')).toBe(0);
    await store.close();
  });

  test('unsigned requests are denied for a private bucket', async () => {
    const { url } = await makeBucket();
    const spec = { ...storeSpec('s3', url), accessKey: 'anonymous' };
    const store = await createObjectStore(spec, storeContext(), {}, signal);
    await expect(store.get('v/x', undefined, signal)).rejects.toMatchObject({ code: 'denied' });
    await store.close();
  });

  test('a bucket that is not there is a mistake in the configuration', async () => {
    const { url, ...keys } = await makeBucket();
    const spec = { ...storeSpec('s3', `${url}-not`), ...keys };
    const store = await createObjectStore(spec, storeContext(), {}, signal);
    await expect(store.get('v/x', undefined, signal)).rejects.toMatchObject({ code: 'bad-config' });
    await store.close();
  });

  test('a block comes whole, checked, or in part', async () => {
    const { url, ...keys } = await makeBucket();
    const context = storeContext();
    const store = await createObjectStore(
      { ...storeSpec('s3', url), ...keys },
      context,
      {},
      signal,
    );
    const bytes = new Uint8Array(4 << 20).map((_, index) => index * 7 + (index >> 9));
    await store.put('vol/chunks/0/0/5_0_4194304', bytes, signal);
    const format = {
      naming: { volumeName: 'vol', hashPrefix: false },
      compression: 'none' as const,
      encryption: undefined,
    };
    const origin = new BlockOrigin({ ...context, store, format });
    const key = { sliceId: 5n, index: 0, sizeBytes: 4 << 20 };
    const whole = new Uint8Array(4 << 20);
    await origin.fill(key, { offset: 0, length: 4 << 20 }, whole, { signal });
    expect(Buffer.compare(whole, bytes)).toBe(0);
    const part = new Uint8Array(1000);
    await origin.fill(key, { offset: 777, length: 1000 }, part, { signal });
    expect(Buffer.compare(part, bytes.subarray(777, 1777))).toBe(0);
    expect(context.metrics.value('object_request_data_bytes', { method: 'GET' })).toBe(
      (4 << 20) + 1000,
    );
    await store.close();
  });

  test('lists more than one page', async () => {
    const { url, ...keys } = await makeBucket();
    const store = await createObjectStore(
      { ...storeSpec('s3', url), ...keys },
      storeContext(),
      {},
      signal,
    );
    const names = Array.from({ length: 1005 }, (_, index) => `p/${String(index).padStart(5, '0')}`);
    for (let at = 0; at < names.length; at += 50) {
      const some = names.slice(at, at + 50);
      await Promise.all(some.map((name) => store.put(name, new Uint8Array(1), signal)));
    }
    const items = await collect(store.list('p/', signal));
    expect(items.map(({ key }) => key)).toEqual(names);
    await store.close();
  });
});

test('the buckets of a new volume are made when they are missing, and its keys are checked', async () => {
  const { endpoint, accessKey, secretKey } = await sharedRgw();
  const name = `format-${randomUUID()}`;
  const metaUrl = `sqlite3://${join(await makeTempDir('format'), 'meta.db')}`;
  const words = ['format', metaUrl, 'volume', '--storage', 's3', '--shards', '2'];
  const bucket = ['--bucket', `${endpoint}/${name}-%d`, '--access-key', accessKey];
  const wrong = await runCli([...words, ...bucket, '--secret-key', 'wrong']);
  expect(wrong).toMatchObject({ status: 1 });
  expect(wrong.stderr).toContain('SignatureDoesNotMatch');
  const made = await runCli([...words, ...bucket, '--secret-key', secretKey]);
  expect(made).toMatchObject({ status: 0, stderr: '' });
  const keys: string[] = [];
  for (const shard of [0, 1]) {
    const url = `${endpoint}/${name}-${shard}`;
    const spec = { ...storeSpec('s3', url), accessKey, secretKey };
    const store = await createObjectStore(spec, storeContext(), {}, signal);
    for await (const { key } of store.list('', signal)) keys.push(key);
    await store.close();
  }
  expect(keys).toEqual(['volume/juicefs_uuid']);
});
