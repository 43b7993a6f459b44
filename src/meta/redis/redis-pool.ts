import { Redis } from 'ioredis';
import { abortReason } from '../../runtime/deadline.ts';
import { Semaphore } from '../../runtime/semaphore.ts';
import { CALLS_MAX } from '../engine-context.ts';
import { MetaError } from '../engine.ts';
import { createRedisClient } from './redis-connect.ts';
import { toMetaError } from './redis-errors.ts';
import type { RedisUrl } from './redis-url.ts';
import { WriteBatch } from './write-batch.ts';

/** Transactions at once; the server runs one command at a time anyway. */
const CONNECTIONS_MAX = 16;

/** A connection for one transaction at a time: what is watched belongs to the connection. */
export interface TxConnection {
  readonly client: Redis;
  readonly batch: WriteBatch;
}

/** What a pool connects with. */
export interface RedisPoolOptions {
  /** Asked for each connection: the primary may be another one now. */
  readonly place: (signal: AbortSignal) => Promise<RedisUrl>;
  readonly password: string;
  readonly sentinelPassword: string;
  readonly silenceMaxMs: number;
}

/**
 * Connections for transactions. One that fails is never connected again: what it watched would be
 * forgotten, and the commit would go through unchecked.
 */
export class RedisPool {
  readonly #options: RedisPoolOptions;
  readonly #places = new Semaphore(CONNECTIONS_MAX, CALLS_MAX);
  readonly #idle: TxConnection[] = [];
  #isOpen = true;

  constructor(options: RedisPoolOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` with a connection that nobody else uses meanwhile. When it throws what is no answer
   * of the server, the connection is given up.
   *
   * @param mayKeep - whether the connection is as new after what `work` threw
   * @throws MetaError; the signal's reason while it waits for a connection
   */
  async use<T>(
    signal: AbortSignal,
    mayKeep: (error: unknown) => boolean,
    work: (connection: TxConnection) => Promise<T>,
  ): Promise<T> {
    const leave = await this.#places.acquire(signal);
    let connection: TxConnection | undefined;
    let isGood = false;
    try {
      connection = this.#takeIdle() ?? (await this.#connect(signal));
      const result = await work(connection);
      isGood = true;
      return result;
    } catch (error) {
      isGood = mayKeep(error);
      throw error;
    } finally {
      if (connection !== undefined) this.#giveBack(connection, isGood);
      leave();
    }
  }

  /** Closes all connections; transactions that are under way fail. */
  close(): void {
    this.#isOpen = false;
    for (const { client } of this.#idle.splice(0)) client.disconnect();
  }

  #takeIdle(): TxConnection | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined || connection.client.status === 'ready') return connection;
      connection.client.disconnect();
    }
  }

  #giveBack(connection: TxConnection, isGood: boolean): void {
    const { client } = connection;
    if (isGood && this.#isOpen && client.status === 'ready') this.#idle.push(connection);
    else client.disconnect();
  }

  async #connect(signal: AbortSignal): Promise<TxConnection> {
    if (!this.#isOpen) throw new MetaError('unavailable', 'Redis: the engine is stopped');
    const { place, password, sentinelPassword, silenceMaxMs } = this.#options;
    const client = createRedisClient(await place(signal), {
      password,
      sentinelPassword,
      silenceMaxMs,
      reconnectDelayMs: () => undefined,
    });
    // Failures come by the promises of commands, too.
    client.on('error', () => undefined);
    const onAbort = () => client.disconnect();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await client.connect();
      if (!(client instanceof Redis)) throw new Error('a transaction needs one server');
      return { client, batch: new WriteBatch() };
    } catch (error) {
      client.disconnect();
      throw signal.aborted ? abortReason(signal) : toMetaError(error);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}
