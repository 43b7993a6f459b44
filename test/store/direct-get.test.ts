import { createServer, type Server, Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import type { ObjectBody } from '../../src/store/object-store.ts';
import { AnswerError, parseAnswerHead } from '../../src/store/s3/answer-head.ts';
import { DirectGet } from '../../src/store/s3/direct-get.ts';
import { createS3Client } from '../../src/store/s3/s3-client.ts';
import { parseS3Bucket } from '../../src/store/s3/s3-location.ts';
import { S3Store } from '../../src/store/s3/s3-store.ts';
import { waitUntil } from '../servers/wait-until.ts';
import { readBody } from './read-body.ts';

const { signal } = new AbortController();
const bytes = Buffer.from(new Uint8Array(300_000).map((_, index) => index * 7 + (index >> 9)));
const HEAD = `HTTP/1.1 200 OK\r\nContent-Length: ${bytes.length}\r\nx-amz-meta-crc32c: 5\r\n\r\n`;

/** What becomes of one request: the n-th answer is for the n-th one, the last for all others. */
type RawAnswer = (socket: Socket) => void | Promise<void>;

let server: Server;
let answers: RawAnswer[];
let sockets: Socket[];
let requests: string[];
let store: S3Store;

beforeEach(async () => {
  answers = [];
  sockets = [];
  requests = [];
  server = createServer((socket) => {
    sockets.push(socket.setNoDelay(true));
    socket.on('error', () => undefined);
    socket.on('data', (head) => {
      requests.push(head.toString('latin1'));
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      void answer?.(socket);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  store = openStore(10);
});

afterEach(async () => {
  await store.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

function openStore(socketsMax: number): S3Store {
  const { port } = server.address() as AddressInfo;
  const location = parseS3Bucket(`http://127.0.0.1:${port}/bucket`, {});
  const keys = { accessKey: 'access', secretKey: 'secret', sessionToken: '' };
  const client = createS3Client(location, { keys, tls: {}, env: {}, socketsMax });
  const { bucket } = location;
  const direct = new DirectGet({ client, bucket, tls: {}, socketsMax, clock: systemClock });
  return new S3Store({ client, bucket, direct, displayName: '', hasChecksums: true });
}

const whole: RawAnswer = (socket) => {
  socket.write(HEAD);
  socket.write(bytes);
};

/** Sends parts so far apart that each is a read of its own. */
const inParts =
  (...parts: (string | Uint8Array)[]): RawAnswer =>
  async (socket) => {
    for (const part of parts) {
      socket.write(part);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };

async function readInto(
  body: ObjectBody,
  into = Buffer.alloc(body.sizeBytes),
): Promise<{ into: Buffer; ready: number[] }> {
  const ready: number[] = [];
  await body.readInto?.(into, (count) => ready.push(count));
  return { into, ready };
}

describe('a GET past the SDK', () => {
  test('lands in the memory that is given, and says how far it is', async () => {
    answers = [
      inParts(HEAD, ...[0, 1, 2].map((part) => bytes.subarray(part * 1e5, part * 1e5 + 1e5))),
    ];
    const body = await store.get('v/k', undefined, signal);
    expect(body).toMatchObject({ sizeBytes: bytes.length, crc32c: 5 });
    const { into, ready } = await readInto(body);
    expect(into.equals(bytes)).toBe(true);
    expect(ready.length).toBeGreaterThan(1);
    expect(ready).toEqual([...new Set(ready)].sort((a, b) => a - b));
    expect(ready.at(-1)).toBe(bytes.length);
  });

  test('does not care how the answer is cut', async () => {
    const all = Buffer.concat([Buffer.from(HEAD), bytes]);
    const single = Array.from(all.subarray(0, HEAD.length + 9), (byte) => Buffer.of(byte));
    answers = [
      inParts(...single, bytes.subarray(9)),
      inParts('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\na: b\r\n\r\n', HEAD, bytes),
      inParts(all),
    ];
    for (let round = 0; round < 3; round += 1) {
      const body = await store.get('v/k', undefined, signal);
      expect((await readInto(body)).into.equals(bytes)).toBe(true);
    }
    answers = [whole];
    const body = await store.get('v/k', undefined, signal);
    expect((await readBody(body)).equals(bytes)).toBe(true);
    expect(sockets).toHaveLength(1);
  });

  test('reads nothing while nobody wants the body', async () => {
    const plenty = Buffer.alloc(64 << 20);
    let sent = false;
    answers = [
      (socket) => {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${plenty.length}\r\n\r\n`);
        socket.write(plenty, () => void (sent = true));
      },
    ];
    const body = await store.get('v/k', undefined, signal);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(sent).toBe(false);
    expect((await readInto(body)).into.equals(plenty)).toBe(true);
    expect(sent).toBe(true);
  });

  test('writes nothing any more once it was aborted', async () => {
    answers = [
      (socket) => {
        socket.write(HEAD);
        socket.write(bytes.subarray(0, 1000));
      },
    ];
    const controller = new AbortController();
    const body = await store.get('v/k', undefined, controller.signal);
    const into = Buffer.alloc(body.sizeBytes);
    let readyBytes = 0;
    const reading = body.readInto?.(into, (count) => void (readyBytes = count));
    await waitUntil('the first bytes', () => Promise.resolve(readyBytes === 1000));
    // On its way when the reader goes.
    sockets[0]?.write(bytes.subarray(1000));
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(into.subarray(1000).every((byte) => byte === 0)).toBe(true);
    expect(sockets[0]?.closed).toBe(true);
  });

  test('a connection that the server has left is no attempt', async () => {
    answers = [
      whole,
      (socket) => void socket.destroy(),
      whole,
      (socket) => void socket.resetAndDestroy(),
      whole,
    ];
    for (let round = 0; round < 3; round += 1) {
      const body = await store.get('v/k', undefined, signal);
      expect((await readInto(body)).into.equals(bytes)).toBe(true);
    }
    expect(requests).toHaveLength(5);
    expect(sockets).toHaveLength(3);
  });

  test('a new connection that breaks is a failure', async () => {
    answers = [(socket) => void socket.destroy()];
    const failed = { code: 'unavailable', retryable: true };
    await expect(store.get('v/k', undefined, signal)).rejects.toMatchObject(failed);
    expect(requests).toHaveLength(1);
  });

  test.each([
    ['more than was announced', `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd`],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc'],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc',
    ],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['a head without end', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(70_000)}`],
  ])('%s is refused, and the connection with it', async (_what, text) => {
    answers = [inParts(text), whole];
    const read = store.get('v/k', undefined, signal).then(readInto);
    await expect(read).rejects.toMatchObject({ name: 'StoreError', retryable: true });
    const body = await store.get('v/k', undefined, signal);
    expect((await readInto(body)).into.equals(bytes)).toBe(true);
    expect(sockets).toHaveLength(2);
  });

  test('an answer of unknown length is refused', async () => {
    answers = [
      inParts('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'),
    ];
    await expect(store.get('v/k', undefined, signal)).rejects.toMatchObject({ code: 'corrupt' });
    await waitUntil('closing', () => Promise.resolve(sockets[0]?.closed === true));
  });

  test('an error that comes in chunks is understood', async () => {
    const text = '<Error><Code>NoSuchKey</Code></Error>';
    const head = 'HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n';
    answers = [inParts(head, `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`)];
    await expect(store.get('v/k', undefined, signal)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('an error that comes in chunks is understood however it is cut', async () => {
    const message = 'a text that is long enough to come in several chunks of their own';
    const text = `<Error><Code>RequestTimeout</Code><Message>${message}</Message></Error>`;
    const chunks = [text.slice(0, 21), text.slice(21)].map(
      (part) => `${part.length.toString(16)};name=value\r\n${part}\r\n`,
    );
    const body = `${chunks.join('')}0\r\n\r\n`;
    const head = 'HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n';
    const isLater = { code: 'unavailable', message: expect.stringContaining(message) };
    for (let at = 1; at < body.length; at += 9) {
      answers = [inParts(head, body.slice(0, at), body.slice(at))];
      await expect(store.get('v/k', undefined, signal)).rejects.toMatchObject(isLater);
    }
  });

  test('an answered error is told, whoever uses its connection meanwhile', async () => {
    const clients = new Set<Socket>();
    let onIdle: (idle: Socket) => void = () => undefined;
    const { unref } = Socket.prototype;
    const spy = vi.spyOn(Socket.prototype, 'unref').mockImplementation(function (this: Socket) {
      clients.add(this);
      onIdle(this);
      return unref.call(this);
    });
    onTestFinished(() => spy.mockRestore());
    answers = [whole];
    const bodies = await Promise.all([1, 2].map(() => store.get('v/k', undefined, signal)));
    for (const body of bodies) await readInto(body);
    expect(clients.size).toBe(2);
    // When the error has come, the other connection turns out to be closed: its request takes this one.
    onIdle = (idle) => {
      onIdle = () => undefined;
      for (const other of clients) if (other !== idle) other.emit('error', new Error('gone'));
    };
    const text = '<Error><Code>NoSuchKey</Code></Error>';
    const answer = `HTTP/1.1 404 Not Found\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
    let missing: Socket | undefined;
    let others = 0;
    const both: RawAnswer = (socket) => {
      if (requests.at(-1)?.includes('/missing') === true) missing = socket;
      else others += 1;
      if (others === 2) return whole(socket);
      if (others === 1) missing?.write(answer);
    };
    answers = [both];
    const failing = store.get('v/missing', undefined, signal);
    const reading = store.get('v/other', undefined, signal);
    await expect(failing).rejects.toMatchObject({ code: 'not-found' });
    expect((await readInto(await reading)).into.equals(bytes)).toBe(true);
    expect(others).toBe(2);
    expect(requests.filter((head) => head.includes('/missing'))).toHaveLength(1);
  });

  test('an empty object leaves the connection to the next request', async () => {
    answers = [inParts('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), whole];
    const empty = await store.get('v/k', undefined, signal);
    const body = await store.get('v/k', undefined, signal);
    expect((await readBody(empty)).length).toBe(0);
    await readInto(empty);
    expect((await readInto(body)).into.equals(bytes)).toBe(true);
    expect(sockets).toHaveLength(1);
  });

  test('a connection that the server wants to close is not used again', async () => {
    answers = [
      inParts('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc'),
      whole,
    ];
    expect(String(await readBody(await store.get('v/k', undefined, signal)))).toBe('abc');
    await readBody(await store.get('v/k', undefined, signal));
    expect(sockets).toHaveLength(2);
  });

  test('one more than there may be connections is the SDK’s', async () => {
    const narrow = openStore(1);
    answers = [whole];
    const first = await narrow.get('v/k', undefined, signal);
    const second = await narrow.get('v/k', undefined, signal);
    expect([first, second].map(({ readInto: direct }) => direct !== undefined)).toEqual([
      true,
      false,
    ]);
    expect((await readBody(second)).equals(bytes)).toBe(true);
    expect((await readBody(first)).equals(bytes)).toBe(true);
    await narrow.close();
  });

  test('asks by the SDK when the clock is wrong, and then as the server has it', async () => {
    const skewed = '<Error><Code>RequestTimeTooSkewed</Code></Error>';
    const date = new Date(Date.now() + 3 * 3_600_000);
    const refusal = [
      'HTTP/1.1 403 Forbidden',
      `Date: ${date.toUTCString()}`,
      `Content-Length: ${skewed.length}`,
      '',
      skewed,
    ].join('\r\n');
    answers = [inParts(refusal), inParts(refusal), whole];
    const denied = { code: 'denied', retryable: true };
    await expect(store.get('v/k', undefined, signal)).rejects.toMatchObject(denied);
    await readBody(await store.get('v/k', undefined, signal));
    const [first, , third] = requests.map((head) => /x-amz-date: (\w+)/i.exec(head)?.[1]);
    expect(third?.slice(0, 11)).toBe(date.toISOString().replaceAll(/[-:]/g, '').slice(0, 11));
    expect(first).not.toBe(third);
  });

  test.each([
    'v/chunks/0/0/1_0_4194304',
    'v/ä ö+%2F?#&=/x',
    "v/!'()*~-_.$,;:@[]",
    'v//double/./dot',
  ])('asks for %s as the SDK does', async (key) => {
    answers = [whole];
    const narrow = openStore(1);
    const first = await narrow.get(key, { offset: 0, length: bytes.length }, signal);
    await readBody(await narrow.get(key, { offset: 0, length: bytes.length }, signal));
    await readInto(first);
    const [direct, sdk] = requests.map(shapeOf);
    expect(direct).toEqual(sdk);
    await narrow.close();
  });
});

/** A request without what differs from one to the next. */
function shapeOf(head: string): { line: string; headers: string[] } {
  const [line = '', ...lines] = head.trim().split('\r\n');
  const ours = /^(connection|amz-sdk-\w+-?\w*|x-amz-date|content-length)$/;
  const headers = lines
    .map((text) => text.toLowerCase())
    .filter((text) => !ours.test(text.split(':', 1)[0] ?? ''))
    .map((text) => text.replace(/signature=.*/, '').replace(/amz-sdk-[\w-]+;/g, ''))
    .map((text) => text.replace(/ m\/\S+/, ''));
  return { line, headers: headers.sort() };
}

describe('the head of an answer', () => {
  test('is read as it is meant', () => {
    const head = parseAnswerHead(
      'HTTP/1.1 206 Partial Content\r\nContent-Length: 12\r\nETag:"a:b" \r\nX-Two: a\r\nx-two:b',
    );
    expect(head).toMatchObject({ status: 206, bodyBytes: 12, keepAlive: true });
    expect(head.headers.get('etag')).toBe('"a:b"');
    expect(head.headers.get('x-two')).toBe('a, b');
    const blanks = ' \t'.repeat(30_000);
    const odd = parseAnswerHead(`HTTP/1.1 200 OK\r\nX-Odd:${blanks}a${blanks}\u00a0${blanks}`);
    expect(odd.headers.get('x-odd')).toBe(`a${blanks}\u00a0`);
    expect(parseAnswerHead('HTTP/1.0 200 OK').keepAlive).toBe(false);
    expect(parseAnswerHead('HTTP/1.1 200').bodyBytes).toBeUndefined();
  });

  test.each([
    '',
    'HTTP/2 200',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 200 OK\r\n folded: line',
    'HTTP/1.1 200 OK\r\nno colon',
    'HTTP/1.1 200 OK\r\nContent-Length : 5',
    'HTTP/1.1 200 OK\r\nContent-Length: -5',
    'HTTP/1.1 200 OK\r\nContent-Length: 0x10',
    'HTTP/1.1 200 OK\r\nContent-Length:',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\nTransfer-Encoding: chunked',
  ])('%j is none', (text) => {
    expect(() => parseAnswerHead(text)).toThrow(AnswerError);
  });
});
