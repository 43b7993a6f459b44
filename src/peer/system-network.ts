import { connect, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import { abortReason } from '../runtime/deadline.ts';
import type { Endpoint, InterfaceAddress, Listening, Network } from './network.ts';

/** Large enough that a system call costs little beside its copy; fits into the L2 cache. */
const READ_BUFFER_BYTES = 256 * 1024;
const KEEP_ALIVE_DELAY_MS = 10_000;
const BACKLOG = 512;

/** @returns this machine's sockets */
export function systemNetwork(): Network {
  // One buffer serves all connections: libuv takes it, reads and calls back in one go (not so on
  // Windows, where this daemon does not run).
  const readBuffer = new Uint8Array(READ_BUFFER_BYTES);
  return {
    connect: (to, options) => connectSocket(to, { ...options, readBuffer }),
    listen: listenOn,
    interfaces: interfaceAddresses,
  };
}

function connectSocket(
  to: Endpoint,
  options: { signal: AbortSignal; onData: (chunk: Uint8Array) => void; readBuffer: Uint8Array },
): Promise<Duplex> {
  const { signal, onData, readBuffer } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(abortReason(signal));
      return;
    }
    const onread = {
      buffer: readBuffer,
      callback: (length: number, buffer: Uint8Array): boolean => {
        onData(buffer.subarray(0, length));
        return true;
      },
    };
    const socket: Socket = connect({ ...to, noDelay: true, keepAlive: true, onread });
    const settle = () => {
      socket.off('error', onError);
      socket.off('connect', onConnect);
      signal.removeEventListener('abort', onAbort);
    };
    const onError = (error: Error) => {
      settle();
      reject(error);
    };
    const onConnect = () => {
      settle();
      socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
      resolve(socket);
    };
    const onAbort = () => {
      settle();
      socket.on('error', () => undefined);
      socket.destroy();
      reject(abortReason(signal));
    };
    socket.once('error', onError);
    socket.once('connect', onConnect);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function listenOn(at: Endpoint, onConnection: (socket: Duplex) => void): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS },
      onConnection,
    );
    server.once('error', reject);
    server.listen({ ...at, backlog: BACKLOG }, () => {
      server.off('error', reject);
      // Accepting can fail for want of descriptors; the listener itself goes on.
      server.on('error', () => undefined);
      resolve({ port: portOf(server), close: () => closeServer(server) });
    });
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // The callback would wait for the connections; the listening socket is closed at once.
    server.close();
    resolve();
  });
}

function interfaceAddresses(): InterfaceAddress[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ address }) => !address.startsWith('fe80:'))
    .map(({ address, family, internal }) => ({
      address,
      family: family === 'IPv4' ? 4 : 6,
      internal,
    }));
}
