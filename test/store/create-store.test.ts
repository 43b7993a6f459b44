import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createObjectStore } from '../../src/store/create-store.ts';
import type { StoreSpec } from '../../src/store/store-spec.ts';
import { loadTlsOptions } from '../../src/store/tls-options.ts';
import { makeTempDir } from '../servers/temp.ts';
import { sendNothing, sendObject, startFaultServer } from './fault-server.ts';
import { readBody } from './read-body.ts';
import { storeContext, storeSpec } from './store-context.ts';

const { signal } = new AbortController();
const create = (spec: StoreSpec, env: Record<string, string> = {}) =>
  createObjectStore(spec, { ...storeContext(), env }, { attempts: 1 }, signal);

describe('creating a store', () => {
  test.each([
    ['file', '/var/data/', 'file:///var/data/'],
    ['FILE', '/var/data/', 'file:///var/data/'],
    ['s3', 'http://127.0.0.1:7480/b', 's3://127.0.0.1:7480/b/'],
    ['s3', 'https://b.s3.eu-west-1.amazonaws.com', 's3://b/'],
    ['minio', '127.0.0.1:9000/b', 'minio://127.0.0.1:9000/b/'],
  ])('%s %s', async (storage, bucket, displayName) => {
    const spec = { ...storeSpec(storage, bucket), accessKey: 'a', secretKey: 'very secret' };
    const store = await create(spec);
    expect(store.displayName).toBe(displayName);
    await store.close();
  });

  test('shards', async () => {
    const store = await create({ ...storeSpec('file', '/var/data-%d/'), shards: 3 });
    expect(store.displayName).toBe('shard3://file:///var/data-0/');
    const spec = { ...storeSpec('file', '/var/data/'), shards: 3 };
    await expect(create(spec)).rejects.toMatchObject({ code: 'bad-config' });
  });

  test.each([
    ['ceph', 'ceph://pool', '--storage s3 --bucket'],
    ['swift', 'container', "'swift' is not supported"],
    ['file', 'data', 'absolute path'],
    ['s3', 'ftp://x/y', 'not an http or https URL'],
    ['s3', 'http://h/b?tls-insecure-skip-verify=perhaps', 'neither true nor false'],
    ['s3', 'https://h/b?ca-certs=/no&ssl-cert=/no&ssl-key=/no', "cannot read '/no'"],
  ])('%s %s is refused with words that help', async (storage, bucket, words) => {
    await expect(create(storeSpec(storage, bucket))).rejects.toMatchObject({
      name: 'StoreError',
      code: 'bad-config',
      message: expect.stringContaining(words),
    });
  });

  test('keys come from the spec, else from the environment', async () => {
    const server = await startFaultServer();
    server.handle(sendObject(new Uint8Array(1)));
    const env = {
      AWS_ACCESS_KEY_ID: 'aws-env',
      AWS_SECRET_ACCESS_KEY: 's',
      MINIO_ACCESS_KEY: 'minio-env',
      MINIO_SECRET_KEY: 's',
    };
    for (const [storage, accessKey, used] of [
      ['s3', 'own', 'own'],
      ['s3', '', 'aws-env'],
      ['minio', 'own', 'own'],
      ['minio', '', 'minio-env'],
    ] as const) {
      const spec = { ...storeSpec(storage, server.url), accessKey, secretKey: 's' };
      const store = await create(spec, env);
      await readBody(await store.get('k', undefined, signal));
      expect(server.requests.at(-1)?.headers.authorization).toContain(`Credential=${used}/`);
      await store.close();
    }
    await server.close();
  });

  test('more GETs than places and connections all get through', async () => {
    const server = await startFaultServer();
    const answer = sendObject(new Uint8Array(100_000));
    let running = 0;
    let most = 0;
    server.handle((request, response) => {
      running += 1;
      most = Math.max(most, running);
      response.on('finish', () => (running -= 1));
      setTimeout(() => answer(request, response), 5);
    });
    const spec = { ...storeSpec('s3', server.url), accessKey: 'a', secretKey: 's' };
    const store = await createObjectStore(spec, storeContext(), { downloadsMax: 4 }, signal);
    const reads = Array.from({ length: 40 }, async () =>
      readBody(await store.get('k', undefined, signal)),
    );
    expect((await Promise.all(reads)).every(({ length }) => length === 100_000)).toBe(true);
    expect(most).toBe(4);
    await store.close();
    await server.close();
  });

  test('an origin that never answers is given up in time', async () => {
    const server = await startFaultServer();
    server.handle(sendNothing);
    const spec = { ...storeSpec('s3', server.url), accessKey: 'a', secretKey: 's' };
    const context = storeContext();
    const tuning = { getTimeoutMs: 300, attempts: 2 };
    const store = await createObjectStore(spec, context, tuning, signal);
    await expect(store.get('k', undefined, signal)).rejects.toMatchObject({
      code: 'unavailable',
      message: 'GET k: no answer within 300 ms',
    });
    expect(context.metrics.value('object_request_errors')).toBe(2);
    expect(context.metrics.value('object_request_retries')).toBe(1);
    await store.close();
    await server.close();
  });
});

describe('TLS', () => {
  test('only all three files count', async () => {
    expect(await loadTlsOptions('https://h/b?ca-certs=/no&ssl-cert=/no')).toEqual({});
    expect(await loadTlsOptions('https://h/b')).toEqual({});
    expect(await loadTlsOptions('h:1/b?tls-insecure-skip-verify=1')).toEqual({
      rejectUnauthorized: false,
    });
  });

  test('a private authority is trusted when it is named, or when told not to look', async () => {
    const dir = await makeTempDir('tls');
    const [key, cert] = [`${dir}/key.pem`, `${dir}/cert.pem`];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject];
    execFileSync('openssl', [...request, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const { readFile } = await import('node:fs/promises');
    const text = 'no'.repeat(150_000);
    const server = createServer(
      { key: await readFile(key), cert: await readFile(cert) },
      (_, response) => void response.writeHead(200, { 'content-length': 300_000 }).end(text),
    );
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/b`;
    const read = async (query: string) => {
      const spec = { ...storeSpec('s3', url + query), accessKey: 'a', secretKey: 's' };
      const store = await create(spec);
      try {
        const body = await store.get('k', undefined, signal);
        const into = Buffer.alloc(body.sizeBytes);
        await body.readInto?.(into, () => undefined);
        const chunks = await readBody(await store.get('k', undefined, signal));
        return [String(into), String(chunks)];
      } finally {
        await store.close();
      }
    };
    await expect(read('')).rejects.toMatchObject({ code: 'unavailable' });
    expect(await read('?tls-insecure-skip-verify=true')).toEqual([text, text]);
    expect(await read(`?ca-certs=${cert}&ssl-cert=${cert}&ssl-key=${key}`)).toEqual([text, text]);
    await writeFile(cert, 'damaged');
    server.closeAllConnections();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
  });
});
