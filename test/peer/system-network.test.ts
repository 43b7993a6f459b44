import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { BulkTls } from '../../src/peer/bulk-tls.ts';
import { deriveGroupKey } from '../../src/peer/group-key.ts';
import { systemNetwork } from '../../src/peer/system-network.ts';

const ALL_BYTES = 8 * 1024 * 1024;
const READ_BYTES = 64 * 1024;
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Connects, reads into `into`, and destroys the socket after some bytes in a way of the caller's. */
async function readInto(port: number, into: Uint8Array, tls?: BulkTls) {
  const network = systemNetwork();
  let readBytes = 0;
  let directBytes = 0;
  const enough = Promise.withResolvers<void>();
  const { signal } = new AbortController();
  const { socket } = await network.connect(
    { host: '127.0.0.1', port },
    {
      ...{ signal, tls },
      room: () => into.subarray(readBytes, readBytes + READ_BYTES),
      onData: (chunk) => {
        if (chunk.buffer === into.buffer) directBytes += chunk.byteLength;
        readBytes += chunk.byteLength;
        if (readBytes > 4 * READ_BYTES) enough.resolve();
      },
    },
  );
  const closed = once(socket, 'close');
  socket.resume();
  return { socket, closed, enough: enough.promise, direct: () => directBytes };
}

test('a plain connection reads into the room that it is given, and never once it is destroyed', async () => {
  const sent = Buffer.alloc(ALL_BYTES, 1);
  const port = await listen(
    createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(sent);
    }),
  );
  const into = new Uint8Array(ALL_BYTES);
  const reading = await readInto(port, into);
  // Goes on in the same turn of the loop as the read that was enough, with more waiting.
  await reading.enough;
  reading.socket.destroy();
  const then = into.indexOf(0);
  expect(then).toBe(reading.direct());
  expect(then).toBeGreaterThan(0);
  expect(then).toBeLessThan(ALL_BYTES);
  await reading.closed;
  await pause(50);
  expect(into.indexOf(0)).toBe(then);
});

test('an encrypted connection leaves rooms alone: it may decrypt after its end', async () => {
  const tls = new BulkTls(deriveGroupKey(Buffer.from('test'), 'volume'));
  const suite = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' } as const;
  const port = await listen(
    createTlsServer({ ...tls.serverOptions(), ...suite }, (socket) => {
      socket.on('error', () => undefined);
      socket.write(Buffer.alloc(ALL_BYTES, 1));
    }),
  );
  const into = new Uint8Array(ALL_BYTES);
  const reading = await readInto(port, into, tls);
  await reading.enough;
  reading.socket.destroy();
  expect(into.indexOf(1)).toBe(-1);
  await reading.closed;
});
