import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { dirname, join, normalize } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GatewayRequest } from './gateway-log.ts';

/** As some servers write into their log for a request that its client gave up. */
const NEVER_ANSWERED = 499;

/** What an origin under test does wrong. */
export interface OriginFaults {
  /** Waits before each answer. */
  delayMs?: number;
  /** Answers with this status, for example 503. */
  status?: number;
  /** Sends so many bytes of the body, then cuts the connection. */
  cutAfterBytes?: number;
  /** Does all this to so many of the requests only, 0 … 1. */
  share?: number;
  /** So many of the next requests are never answered; counts down. */
  loseNext?: number;
}

/** A folder served with as much of S3 as reading and writing take; signatures are not checked. */
export interface FileOrigin {
  /** `http://HOST:PORT`; the bucket is the first part of the path and can have any name. */
  readonly endpoint: string;
  /** All requests that were answered so far, oldest first. */
  readonly requests: readonly GatewayRequest[];
  /** Changed by the test while it runs. */
  readonly faults: OriginFaults;
  /** From now on nothing is done wrong. */
  heal(): void;
  stop(): Promise<void>;
}

/**
 * Serves a folder's files as the objects of a bucket: GET, HEAD, single ranges, PUT, DELETE. It counts and
 * it can fail, both of which are hard to get from a real gateway.
 *
 * @param dir - folder whose relative paths are the keys
 * @param host - address to listen at
 */
export async function startFileOrigin(dir: string, host = '127.0.0.1'): Promise<FileOrigin> {
  const requests: GatewayRequest[] = [];
  const faults: OriginFaults = {};
  const server = createServer((request, response) => {
    const isSpared = Math.random() >= (faults.share ?? 1);
    answer({ dir, faults: isSpared ? {} : faults, request, response }).then(
      (served) => requests.push(served),
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    endpoint: `http://${host}:${(server.address() as AddressInfo).port}`,
    requests,
    faults,
    heal: () => {
      for (const fault of Object.keys(faults)) delete faults[fault as keyof OriginFaults];
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Exchange {
  readonly dir: string;
  readonly faults: OriginFaults;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function answer({ dir, faults, request, response }: Exchange): Promise<GatewayRequest> {
  const path = new URL(request.url ?? '/', 'http://origin').pathname;
  const range = request.headers.range;
  const method = request.method ?? 'GET';
  const served = (status: number, bodyBytes: number) => ({
    method,
    path,
    status,
    bodyBytes,
    range,
  });
  if (faults.loseNext !== undefined && faults.loseNext > 0) {
    faults.loseNext -= 1;
    await once(response, 'close');
    return served(NEVER_ANSWERED, 0);
  }
  if (faults.delayMs !== undefined) await sleep(faults.delayMs);
  if (faults.status !== undefined) return served(fail(response, faults.status, 'SlowDown'), 0);

  const filePath = join(dir, normalize(decodeURIComponent(path.replace(/^\/[^/]*/, ''))));
  if (method === 'PUT' || method === 'DELETE') {
    return served(await change({ method, filePath, request, response }), 0);
  }
  const file = await stat(filePath).catch(() => undefined);
  if (!file?.isFile()) return served(fail(response, 404, 'NoSuchKey'), 0);
  const bounds = boundsOf(range, file.size);
  if (bounds === undefined) return served(fail(response, 416, 'InvalidRange'), 0);

  const { start, end } = bounds;
  const status = range === undefined ? 200 : 206;
  response.writeHead(status, {
    'accept-ranges': 'bytes',
    'content-length': end - start,
    'last-modified': file.mtime.toUTCString(),
    etag: `"${file.size.toString(16)}-${file.mtimeMs.toString(16)}"`,
    ...(status === 206 ? { 'content-range': `bytes ${start}-${end - 1}/${file.size}` } : {}),
  });
  if (method === 'HEAD' || end === start) {
    response.end();
    return served(status, 0);
  }
  const cut = faults.cutAfterBytes;
  const stop = cut === undefined ? end : Math.min(end, start + cut);
  if (stop > start) {
    const body = createReadStream(filePath, { start, end: stop - 1 });
    await pipeline(body, response, { end: stop === end });
  }
  if (stop < end) response.destroy();
  return served(status, stop - start);
}

/** Stores or removes an object; nobody sees a part of one. */
async function change({
  method,
  filePath,
  request,
  response,
}: Pick<Exchange, 'request' | 'response'> & {
  method: 'PUT' | 'DELETE';
  filePath: string;
}): Promise<number> {
  if (method === 'DELETE') await rm(filePath, { force: true });
  else {
    await mkdir(dirname(filePath), { recursive: true });
    const body = await buffer(request);
    await writeFile(`${filePath}.part`, body);
    await rename(`${filePath}.part`, filePath);
  }
  const status = method === 'PUT' ? 200 : 204;
  response.writeHead(status, { 'content-length': 0 }).end();
  return status;
}

/** The asked half-open range, undefined when it lies outside of the file. */
function boundsOf(
  range: string | undefined,
  sizeBytes: number,
): { start: number; end: number } | undefined {
  if (range === undefined) return { start: 0, end: sizeBytes };
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(range) ?? [];
  if (from === '') return { start: Math.max(0, sizeBytes - Number(to)), end: sizeBytes };
  const start = Number(from);
  const end = to === '' ? sizeBytes : Math.min(sizeBytes, Number(to) + 1);
  return start < end ? { start, end } : undefined;
}

function fail(response: ServerResponse, status: number, code: string): number {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml' }).end(body);
  return status;
}
