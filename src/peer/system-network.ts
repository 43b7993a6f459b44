import { connect, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { abortReason } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { type BulkTls, channelOf, fromTlsError } from './bulk-tls.ts';
import type {
  Endpoint,
  InterfaceAddress,
  Listening,
  Network,
  NetworkConnection,
} from './network.ts';

/** Large enough that a system call costs little beside its copy; fits into the L2 cache. */
const READ_BUFFER_BYTES = 256 * 1024;
const KEEP_ALIVE_DELAY_MS = 10_000;
const BACKLOG = 512;
const ACCEPT_ERRORS = {
  name: 'remotecache_accept_errors',
  help: 'Connections of peers that could not be accepted.',
};

/** Who hears of connections that could not be accepted. */
export interface NetworkWatch {
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/**
 * @param watch - unless given nobody hears of connections that could not be accepted
 * @returns this machine's sockets
 */
export function systemNetwork(watch?: NetworkWatch): Network {
  // One buffer serves all connections: libuv takes it, reads and calls back in one go (not so on
  // Windows, where this daemon does not run).
  const readBuffer = new Uint8Array(READ_BUFFER_BYTES);
  return {
    connect: (to, options) => connectSocket(to, { ...options, readBuffer }),
    listen: (at, onConnection, options) => listenOn(at, onConnection, { ...options, watch }),
    interfaces: interfaceAddresses,
  };
}

interface ConnectOptions {
  readonly signal: AbortSignal;
  readonly onData: (chunk: Uint8Array) => void;
  readonly room?: () => Uint8Array | undefined;
  readonly tls?: BulkTls | undefined;
  readonly readBuffer: Uint8Array;
}

function connectSocket(to: Endpoint, options: ConnectOptions): Promise<NetworkConnection> {
  const { signal, tls } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(abortReason(signal));
      return;
    }
    const socket = openSocket(to, options);
    const connected = tls === undefined ? 'connect' : 'secureConnect';
    const settle = () => {
      socket.off('error', onError);
      socket.off(connected, onConnect);
      signal.removeEventListener('abort', onAbort);
    };
    const onError = (error: Error) => {
      settle();
      reject(tls === undefined ? error : fromTlsError(error));
    };
    const onConnect = () => {
      settle();
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
      resolve(connectionOf(socket));
    };
    const onAbort = () => {
      settle();
      socket.on('error', () => undefined);
      socket.destroy();
      reject(abortReason(signal));
    };
    socket.once('error', onError);
    socket.once(connected, onConnect);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function openSocket(to: Endpoint, { onData, room, tls, readBuffer }: ConnectOptions): Socket {
  const callback = (length: number, buffer: Uint8Array): boolean => {
    onData(buffer.subarray(0, length));
    return true;
  };
  if (tls === undefined) {
    const buffer = () => room?.() ?? readBuffer;
    const onread = { buffer, callback };
    return connect({ ...to, noDelay: true, keepAlive: true, onread });
  }
  // The types do not know it, but a TLS socket of its own connection reads into a buffer likewise.
  // Not into a room: what was received before it is destroyed may still be decrypted afterwards.
  return connectTls({
    ...to,
    ...tls.clientOptions(),
    ...{ onread: { buffer: readBuffer, callback } },
  });
}

function connectionOf(socket: Socket): NetworkConnection {
  const connection = { socket, remoteAddress: socket.remoteAddress ?? '' };
  return socket instanceof TLSSocket ? { ...connection, channel: channelOf(socket) } : connection;
}

function listenOn(
  at: Endpoint,
  onConnection: (connection: NetworkConnection) => void,
  options: { readonly shared?: boolean; readonly watch: NetworkWatch | undefined },
): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS },
      (socket) => onConnection(connectionOf(socket)),
    );
    server.once('error', reject);
    server.listen({ ...at, backlog: BACKLOG, reusePort: options.shared === true }, () => {
      server.off('error', reject);
      // Accepting can fail for want of descriptors; the listener itself goes on.
      server.on('error', (error) => onAcceptError(error, options.watch));
      resolve({ port: portOf(server), close: () => closeServer(server) });
    });
  });
}

function onAcceptError(error: Error, watch: NetworkWatch | undefined): void {
  watch?.metrics.counter(ACCEPT_ERRORS).add();
  watch?.logger.warn({ error: String(error) }, 'a connection of a peer could not be accepted');
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
