import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { crc32cOf } from '../../src/block/checksum.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { BlockOrigin } from '../../src/store/block-origin.ts';
import { createObjectStore, type StoreTuning } from '../../src/store/create-store.ts';
import type { ObjectStore } from '../../src/store/object-store.ts';
import { DirectGet } from '../../src/store/s3/direct-get.ts';
import { createS3Client } from '../../src/store/s3/s3-client.ts';
import { parseS3Bucket } from '../../src/store/s3/s3-location.ts';
import { S3Store } from '../../src/store/s3/s3-store.ts';
import { waitUntil } from '../servers/wait-until.ts';
import {
  type FaultServer,
  sendError,
  sendNothing,
  sendObject,
  sendStalled,
  sendTruncated,
  startFaultServer,
} from './fault-server.ts';
import { collect, readBody } from './read-body.ts';
import { storeContext, storeSpec } from './store-context.ts';

const { signal } = new AbortController();
const bytes = new Uint8Array(1 << 20).map((_, index) => index * 13 + (index >> 8));
const keys = { accessKey: 'access', secretKey: 'secret', sessionToken: '' };

let server: FaultServer;
beforeAll(async () => {
  server = await startFaultServer();
});
afterAll(() => server.close());
beforeEach(() => void server.requests.splice(0));

/** The driver alone: one attempt, no deadline. */
function bareStore(
  isDirect: boolean,
  bucket = server.url,
  own: { accessKey?: string; sessionToken?: string } = {},
): S3Store {
  const location = parseS3Bucket(bucket, {});
  const options = { keys: { ...keys, ...own }, tls: {}, env: {}, socketsMax: 10 };
  const client = createS3Client(location, options);
  const direct = { client, bucket: location.bucket, clock: systemClock, tls: {}, socketsMax: 10 };
  return new S3Store({
    client,
    bucket: location.bucket,
    direct: isDirect ? new DirectGet(direct) : undefined,
    displayName: 's3://test/',
    hasChecksums: !location.checksumDisabled,
  });
}

const WAYS = [
  ['with GETs past the SDK', true],
  ['with GETs by the SDK', false],
] as const;

describe.each(WAYS)('the S3 driver on its own, %s', (_way, isDirect) => {
  let store: S3Store;
  beforeEach(() => {
    store = bareStore(isDirect);
  });
  afterEach(() => store.close());

  test('signs a GET without hashing anything and asks for no checksum', async () => {
    server.handle(sendObject(bytes, { 'x-amz-meta-crc32c': String(crc32cOf(bytes)) }));
    const body = await store.get('v/a b+c', undefined, signal);
    expect(body.crc32c).toBe(crc32cOf(bytes));
    expect(Buffer.compare(await readBody(body), bytes)).toBe(0);
    const [request] = server.requests;
    expect(request?.url).toBe('/bucket/v/a%20b%2Bc?x-id=GetObject');
    expect(request?.headers).toMatchObject({ 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' });
    expect(request?.headers.authorization).toContain('Credential=access/');
    expect(request?.headers).not.toHaveProperty('x-amz-checksum-mode');
  });

  test('puts bytes as they are, with their checksum in the metadata', async () => {
    server.handle((_, response) => response.end());
    await store.put('v/k', bytes, signal);
    const [request] = server.requests;
    expect(request?.headers).toMatchObject({
      'content-length': String(bytes.length),
      'content-type': 'application/octet-stream',
      'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
      'x-amz-meta-crc32c': String(crc32cOf(bytes)),
    });
    const names = Object.keys(request?.headers ?? {});
    expect(names.filter((name) => name.startsWith('x-amz-checksum'))).toEqual([]);
  });

  test('disable-checksum neither writes nor reports checksums', async () => {
    const plain = bareStore(isDirect, `${server.url}?disable-checksum=true`);
    server.handle(sendObject(bytes, { 'x-amz-meta-crc32c': '1' }));
    const body = await plain.get('v/k', undefined, signal);
    expect(body.crc32c).toBeUndefined();
    await readBody(body);
    await plain.put('v/k', bytes, signal);
    expect(server.requests[1]?.headers).not.toHaveProperty('x-amz-meta-crc32c');
    await plain.close();
  });

  test('a checksum that is no number is no checksum', async () => {
    server.handle(sendObject(bytes, { 'x-amz-meta-crc32c': 'abc' }));
    const body = await store.get('v/k', undefined, signal);
    expect(body.crc32c).toBeUndefined();
    await readBody(body);
  });

  test('anonymous requests carry no signature', async () => {
    const unsigned = bareStore(isDirect, server.url, { accessKey: 'anonymous' });
    server.handle(sendObject(bytes));
    await readBody(await unsigned.get('v/k', undefined, signal));
    expect(server.requests[0]?.headers).not.toHaveProperty('authorization');
    await unsigned.close();
  });

  test('the session token is sent', async () => {
    const own = bareStore(isDirect, server.url, { sessionToken: 'token' });
    server.handle(sendObject(bytes));
    await readBody(await own.get('v/k', undefined, signal));
    expect(server.requests[0]?.headers['x-amz-security-token']).toBe('token');
    await own.close();
  });

  test('reads one after the other share a connection', async () => {
    server.handle(sendObject(bytes));
    const before = server.connections();
    for (let round = 0; round < 5; round += 1)
      await readBody(await store.get('v/k', undefined, signal));
    expect(server.connections() - before).toBe(1);
  });

  test('aborting before the headers, and in the body, closes the connection', async () => {
    const reason = new Error('enough');
    for (const handler of [sendNothing, sendStalled(bytes, 0), sendStalled(bytes, 1000)]) {
      server.handle(handler);
      const controller = new AbortController();
      const read = store.get('v/k', undefined, controller.signal).then(readBody);
      const failure = read.then(
        () => undefined,
        (error: unknown) => error,
      );
      await waitUntil('the request', () => Promise.resolve(server.requests.length > 0));
      controller.abort(reason);
      expect(await failure).toBe(reason);
      await waitUntil('closing', () => Promise.resolve(server.open.size === 0));
      server.requests.splice(0);
    }
  });

  test('leaving a body early closes the connection', async () => {
    server.handle(sendStalled(bytes, 1000));
    const body = await store.get('v/k', undefined, signal);
    expect(server.open.size).toBe(1);
    await body.chunks[Symbol.asyncIterator]().return?.();
    await waitUntil('closing', () => Promise.resolve(server.open.size === 0));
  });

  test('a body that breaks off is an error that may be tried again', async () => {
    server.handle(sendTruncated(bytes, 100_000));
    const body = await store.get('v/k', undefined, signal);
    await expect(collect(body.chunks)).rejects.toMatchObject({
      name: 'StoreError',
      code: 'unavailable',
      retryable: true,
      message: expect.stringContaining('GET v/k'),
    });
  });

  test('a body that breaks off while nobody reads it hurts nobody', async () => {
    server.handle(sendTruncated(bytes, 10));
    const body = await store.get('v/k', undefined, signal);
    await waitUntil('closing', () => Promise.resolve(server.open.size === 0));
    await expect(collect(body.chunks)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('a server that ignores the range is refused before a byte is read', async () => {
    server.handle((_, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      response.end(bytes);
    });
    const read = store.get('v/k', { offset: 5, length: 10 }, signal);
    await expect(read).rejects.toMatchObject({ code: 'corrupt' });
  });

  test.each([
    ['the whole of a shorter object', 200, undefined],
    ['another part', 206, `bytes 0-9/${bytes.length}`],
    ['a longer part', 206, `bytes 5-15/${bytes.length}`],
    ['no part that can be understood', 206, 'pages 5-14/99'],
  ])('%s is not taken for the asked part', async (_what, status, contentRange) => {
    server.handle((_, response) => {
      const headers = contentRange === undefined ? {} : { 'content-range': contentRange };
      response.writeHead(status, { 'content-length': 10, ...headers });
      response.end(bytes.subarray(0, 10));
    });
    const read = store.get('v/k', { offset: 5, length: 10 }, signal);
    await expect(read).rejects.toMatchObject({ code: 'corrupt' });
  });

  test.each([
    [404, 'NoSuchKey', 'not-found', false],
    [404, 'NoSuchBucket', 'bad-config', false],
    [403, 'AccessDenied', 'denied', false],
    [403, 'InvalidAccessKeyId', 'denied', false],
    [400, 'ExpiredToken', 'denied', false],
    [400, 'AuthorizationHeaderMalformed', 'bad-config', false],
    [301, 'PermanentRedirect', 'bad-config', false],
    [416, 'InvalidRange', 'corrupt', false],
    [400, 'RequestTimeout', 'unavailable', true],
    [429, 'TooManyRequests', 'unavailable', true],
    [500, 'InternalError', 'unavailable', true],
    [503, 'SlowDown', 'unavailable', true],
  ])('%d %s is %s', async (status, name, code, retryable) => {
    server.handle(sendError(status, name));
    const read = store.get('v/k', undefined, signal);
    await expect(read).rejects.toMatchObject({
      name: 'StoreError',
      code,
      retryable,
      message: expect.stringContaining('v/k'),
    });
    expect(server.requests).toHaveLength(1);
  });

  test('an answer that is not XML (a proxy) is judged by its status', async () => {
    server.handle((_, response) => {
      response.writeHead(502);
      response.end('<html>Bad gateway');
    });
    await expect(store.get('v/k', undefined, signal)).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
    });
  });

  test('nobody listens', async () => {
    const gone = await startFaultServer();
    await gone.close();
    const nowhere = bareStore(isDirect, gone.url);
    await expect(nowhere.get('v/k', undefined, signal)).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
    });
    await nowhere.close();
  });
});

describe('a block from a gateway that fails', () => {
  const key = { sliceId: 3n, index: 0, sizeBytes: bytes.length };
  const range = { offset: 0, length: bytes.length };
  const checked = { 'x-amz-meta-crc32c': String(crc32cOf(bytes)) };
  let store: ObjectStore;
  afterEach(() => store.close());

  async function fill(tuning: StoreTuning = {}): Promise<{ into: Uint8Array; ready: number[] }> {
    const context = storeContext();
    store = await createObjectStore(
      { ...storeSpec('s3', server.url), ...keys },
      context,
      tuning,
      signal,
    );
    const naming = { volumeName: 'v', hashPrefix: false };
    const format = { naming, compression: 'none' as const, encryption: undefined };
    const origin = new BlockOrigin({ ...context, store, format });
    const into = new Uint8Array(bytes.length);
    const ready: number[] = [];
    await origin.fill(key, range, into, { signal, onProgress: (count) => ready.push(count) });
    return { into, ready };
  }

  test('says later, then breaks off, then stalls, and then delivers', async () => {
    server.handle(
      sendError(503, 'SlowDown'),
      sendTruncated(bytes, 300_000, checked),
      sendStalled(bytes, 500_000, checked),
      sendNothing,
      sendObject(bytes, checked),
    );
    const { into, ready } = await fill({ getTimeoutMs: 500 });
    expect(Buffer.compare(into, bytes)).toBe(0);
    expect(ready).toEqual([bytes.length]);
    expect(server.requests.length).toBeGreaterThanOrEqual(5);
  });

  test('without a checksum bytes are reported as they come, and never twice', async () => {
    server.handle(sendTruncated(bytes, 300_000), sendObject(bytes));
    const { into, ready } = await fill();
    expect(Buffer.compare(into, bytes)).toBe(0);
    expect(ready.length).toBeGreaterThan(2);
    expect(ready).toEqual([...ready].sort((a, b) => a - b));
    expect(new Set(ready).size).toBe(ready.length);
    expect(ready.at(-1)).toBe(bytes.length);
  });

  test('a flipped bit is never reported, and asked for three times at most', async () => {
    const damaged = bytes.slice();
    damaged[500_000] = (damaged[500_000] as number) ^ 1;
    server.handle(sendObject(damaged, checked));
    await expect(fill()).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('v/chunks/0/0/3_0_1048576'),
    });
    expect(server.requests).toHaveLength(3);
  });

  test('an object of another length is refused before a byte is reported', async () => {
    server.handle(sendObject(bytes.subarray(1)));
    await expect(fill()).rejects.toMatchObject({ code: 'corrupt' });
    expect(server.requests).toHaveLength(3);
  });

  test('an object that is not there is asked for once', async () => {
    server.handle(sendError(404, 'NoSuchKey'));
    await expect(fill()).rejects.toMatchObject({ code: 'not-found' });
    expect(server.requests).toHaveLength(1);
  });
});
