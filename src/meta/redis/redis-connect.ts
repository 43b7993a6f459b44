import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { Cluster, type CommonRedisOptions, Redis } from 'ioredis';
import { MetaError } from '../engine.ts';
import type { HostPort, RedisUrl, TlsParameters } from './redis-url.ts';

/** How long a server may take to close a connection that we have ended. */
const DISCONNECT_TIMEOUT_MS = 200;

/** A connection to a server, to the primary of a group, or to a cluster. */
export type RedisClient = Redis | Cluster;

/** Who connects and how long things may take. */
export interface ConnectOptions {
  readonly password: string;
  readonly sentinelPassword: string;
  /** An established connection on which nothing comes for so long is given up. */
  readonly silenceMaxMs: number;
  /** Pause before the next try to connect, by number of tries; undefined: there is none. */
  readonly reconnectDelayMs: (tries: number) => number | undefined;
}

/** @returns a client that begins to connect when `connect` is called, and then for ever */
export function createRedisClient(url: RedisUrl, options: ConnectOptions): RedisClient {
  const common = commonOptions(url, options);
  const { place } = url;
  switch (place.kind) {
    case 'single':
      return new Redis({ ...common, host: place.at.host, port: place.at.port, db: url.db });
    case 'socket':
      return new Redis({ ...common, path: place.path, db: url.db });
    case 'sentinel':
      return new Redis({
        ...common,
        db: url.db,
        name: place.group,
        sentinels: [...place.sentinels],
        sentinelPassword: options.sentinelPassword || undefined,
        sentinelRetryStrategy: options.reconnectDelayMs,
        sentinelCommandTimeout: options.silenceMaxMs,
        ...(common.tls === undefined
          ? {}
          : { enableTLSForSentinelMode: true, sentinelTLS: common.tls }),
        // A demoted primary goes on answering reads with what it last knew.
        failoverDetector: true,
      });
    case 'cluster':
      return createClusterClient(place.nodes, common, options);
  }
}

function createClusterClient(
  nodes: readonly HostPort[],
  common: ReturnType<typeof commonOptions>,
  options: ConnectOptions,
): Cluster {
  const { retryStrategy: _strategy, enableOfflineQueue: _queue, ...redisOptions } = common;
  return new Cluster([...nodes], {
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: options.reconnectDelayMs,
    slotsRefreshTimeout: options.silenceMaxMs,
    redisOptions,
    // Certificates name hosts, not addresses.
    ...(common.tls === undefined ? {} : { dnsLookup: (address, done) => done(null, address, 0) }),
  });
}

function commonOptions(url: RedisUrl, options: ConnectOptions) {
  const tls = url.tls === undefined ? undefined : tlsOptions(url.tls);
  return {
    lazyConnect: true,
    ...(url.username === '' ? {} : { username: url.username }),
    ...(options.password === '' ? {} : { password: options.password }),
    ...(tls === undefined ? {} : { tls }),
    // RESP2 is all that the oldest supported servers (4.0) know; nothing here needs more.
    protocol: 2,
    // Calls wait and repeat by themselves under their deadline; the library must not keep commands.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: options.reconnectDelayMs,
    connectTimeout: options.silenceMaxMs,
    socketTimeout: options.silenceMaxMs,
    // The library's timer would keep the process for this long when the connection is lost already.
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    disableClientInfo: true,
  } satisfies CommonRedisOptions & { tls?: ConnectionOptions; disconnectTimeout: number };
}

function tlsOptions(parameters: TlsParameters): ConnectionOptions {
  const { certFile, keyFile, caFile, serverName, skipVerify } = parameters;
  return {
    rejectUnauthorized: !skipVerify,
    ...(certFile === undefined ? {} : { cert: readPem('tls-cert-file', certFile) }),
    ...(keyFile === undefined ? {} : { key: readPem('tls-key-file', keyFile) }),
    ...(caFile === undefined ? {} : { ca: readPem('tls-ca-cert-file', caFile) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

function readPem(parameter: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new MetaError('bad-url', `metadata URL: cannot read the ${parameter} ${path}`, { cause });
  }
}
