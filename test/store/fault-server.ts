import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** Answers one request; the n-th handler answers the n-th request, the last one all others. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A real HTTP server that misbehaves as its handlers say. */
export interface FaultServer {
  readonly url: string;
  readonly requests: IncomingMessage[];
  /** Connections that are open now. */
  readonly open: ReadonlySet<Socket>;
  /** Connections that were ever opened. */
  connections(): number;
  handle(...handlers: Handler[]): void;
  close(): Promise<void>;
}

/** Starts a server on loopback. */
export async function startFaultServer(): Promise<FaultServer> {
  let handlers: Handler[] = [];
  const requests: IncomingMessage[] = [];
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer((request, response) => {
    requests.push(request);
    request.resume();
    const handler = handlers.length > 1 ? handlers.shift() : handlers[0];
    handler?.(request, response);
  });
  server.on('connection', (socket) => {
    connections += 1;
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/bucket`,
    requests,
    open,
    connections: () => connections,
    handle: (...next) => {
      handlers = next;
    },
    close: () => closeServer(server),
  };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** Sends an object as S3 does, ranges included. */
export function sendObject(bytes: Uint8Array, headers: Record<string, string> = {}): Handler {
  return (request, response) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const part = range === null ? bytes : bytes.subarray(Number(range[1]), Number(range[2]) + 1);
    response.writeHead(range === null ? 200 : 206, {
      ...headers,
      'content-length': part.length,
      ...(range && { 'content-range': `bytes ${range[1]}-${range[2]}/${bytes.length}` }),
    });
    response.end(part);
  };
}

/** Announces the whole object and breaks the connection after `sentBytes`. */
export function sendTruncated(
  bytes: Uint8Array,
  sentBytes: number,
  headers: Record<string, string> = {},
): Handler {
  return (_, response) => {
    response.writeHead(200, { ...headers, 'content-length': bytes.length });
    response.write(bytes.subarray(0, sentBytes), () => response.destroy());
  };
}

/** Announces the whole object, sends `sentBytes` and then nothing, for ever. */
export function sendStalled(
  bytes: Uint8Array,
  sentBytes: number,
  headers: Record<string, string> = {},
): Handler {
  return (_, response) => {
    response.writeHead(200, { ...headers, 'content-length': bytes.length });
    if (sentBytes > 0) response.write(bytes.subarray(0, sentBytes));
    else response.flushHeaders();
  };
}

/** Never answers. */
export const sendNothing: Handler = () => undefined;

/** An error as S3 words it. */
export function sendError(status: number, code: string): Handler {
  return (_, response) => {
    const xml = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>told so</Message></Error>`;
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(xml);
  };
}
