import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { BulkTls } from '../../src/peer/bulk-tls.ts';

/** What the mesh's own connections agree on. */
const SUITE = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256', noDelay: true } as const;

/** A request of the raw protocol: how many bytes are wanted and of which block, little-endian. */
export const RAW_REQUEST_BYTES = 8;

/**
 * What the mesh is compared with: a `node:net` or `node:tls` server that answers a number with so
 * many bytes of one of its blocks, without frames, checksums or anything else.
 *
 * @param tls - what the mesh encrypts with, so that both have the same cipher
 * @returns its port on loopback
 */
export function startRawServer(blocks: readonly Uint8Array[], tls?: BulkTls): Promise<number> {
  const onSocket = (socket: Socket) => serve(socket, blocks);
  if (tls === undefined) return listen(createServer({ noDelay: true }, onSocket));
  return listen(createTlsServer({ ...tls.serverOptions(), ...SUITE }, onSocket));
}

/** A server that sends back whatever it gets. @returns its port on loopback */
export function startEchoServer(): Promise<number> {
  return listen(createServer({ noDelay: true }, (socket) => void socket.pipe(socket)));
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

function serve(socket: Socket, blocks: readonly Uint8Array[]): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= RAW_REQUEST_BYTES) {
      const block = blocks[rest.readUInt32LE(4) % blocks.length] as Uint8Array;
      socket.write(block.subarray(0, rest.readUInt32LE(0)));
      rest = rest.subarray(RAW_REQUEST_BYTES);
    }
  });
}
