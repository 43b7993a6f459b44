import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Redis } from 'ioredis';
import { abortReason } from '../../runtime/deadline.ts';
import type { DirectReads } from '../direct-reads.ts';
import { MetaError } from '../engine.ts';
import { loadLookupScript } from './lookup-script.ts';
import { createRedisClient, type ConnectOptions, type RedisClient } from './redis-connect.ts';
import { isErrorReply, toMetaError } from './redis-errors.ts';
import type { RedisUrl } from './redis-url.ts';

/** Connections for threads, made by the library and then taken from it. */
export class RedisDirect implements DirectReads {
  readonly keyPrefix = '';
  readonly #url: RedisUrl;
  readonly #options: Omit<ConnectOptions, 'reconnectDelayMs'>;

  constructor(url: RedisUrl, options: Omit<ConnectOptions, 'reconnectDelayMs'>) {
    this.#url = url;
    this.#options = options;
  }

  /**
   * Whether threads can talk to such a server: in plain text, and to one that does not change. (A
   * demoted primary goes on answering; only the library asks the sentinels.)
   */
  static isPossible({ place, tls }: RedisUrl): boolean {
    return tls === undefined && (place.kind === 'single' || place.kind === 'socket');
  }

  /** @see DirectReads.connect */
  async connect(duplicate: (fd: number) => number, signal: AbortSignal): Promise<number> {
    const client = createRedisClient(this.#url, {
      ...this.#options,
      reconnectDelayMs: () => 60_000,
    });
    const refuse = Promise.withResolvers<never>();
    const onAbort = () => refuse.reject(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    // Failures to connect come by the promise of `connect`, too.
    client.on('error', () => undefined);
    try {
      signal.throwIfAborted();
      return await Promise.race([this.#take(client, duplicate, signal), refuse.promise]);
    } catch (error) {
      throw signal.aborted ? abortReason(signal) : toMetaError(error);
    } finally {
      signal.removeEventListener('abort', onAbort);
      client.disconnect();
    }
  }

  async #take(
    client: RedisClient,
    duplicate: (fd: number) => number,
    signal: AbortSignal,
  ): Promise<number> {
    await client.connect();
    await loadLookupScript(client).catch((error: unknown) => {
      // Without scripts look-ups are answered with an error, and come to the engine.
      if (!isErrorReply(error)) throw error;
    });
    // Nobody would close a descriptor that comes too late.
    signal.throwIfAborted();
    const socket = client instanceof Redis ? client.stream : undefined;
    const fd = plainDescriptor(socket);
    if (fd === undefined) throw new MetaError('unavailable', 'Redis: the socket has no descriptor');
    const copy = duplicate(fd);
    // Closes the library's descriptor without ending the connection, as `end` would.
    (socket as Socket).destroy();
    return copy;
  }
}

/** Node hands out no descriptors, but its sockets have one. */
function plainDescriptor(socket: unknown): number | undefined {
  if (!(socket instanceof Socket) || socket instanceof TLSSocket) return undefined;
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null };
  return typeof handle?.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined;
}
