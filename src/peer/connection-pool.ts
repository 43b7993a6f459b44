import type { Clock, Timer } from '../runtime/clock.ts';
import { QueueFullError, Semaphore } from '../runtime/semaphore.ts';
import { PeerError } from './block-exchange.ts';
import type { BulkConnection } from './bulk-connection.ts';

/** A connection that is ours until it is given back. */
export interface BorrowedConnection {
  readonly connection: BulkConnection;
  /** Whether it served others before: its peer may have closed it in the meantime. */
  readonly reused: boolean;
  /** Call exactly once. A connection that is not usable any more is dropped. */
  giveBack(): void;
}

/** How many connections to one peer there may be, and how long they live unused. */
export interface PoolOptions {
  readonly connectionsPerPeer: number;
  /** Callers that wait for a connection at most; one more gets `busy`. */
  readonly queueMax: number;
  /** Shorter than the server's limit, so that a connection is rarely closed under a request. */
  readonly idleTimeoutMs: number;
}

/** 8 connections keep a fast network busy; a window of prefetch waits in the queue. */
export const DEFAULT_POOL: PoolOptions = {
  connectionsPerPeer: 8,
  queueMax: 256,
  idleTimeoutMs: 45_000,
};

/** Bulk connections to one peer. */
export class ConnectionPool {
  readonly #clock: Clock;
  readonly #options: PoolOptions;
  readonly #open: (signal: AbortSignal) => Promise<BulkConnection>;
  readonly #places: Semaphore;
  /** Most recently used last. */
  readonly #idle: { connection: BulkConnection; sinceMs: number }[] = [];
  #sweep: Timer | undefined;
  #closed = false;

  /** @param open - makes a connection; has a deadline of its own */
  constructor(
    clock: Clock,
    options: PoolOptions,
    open: (signal: AbortSignal) => Promise<BulkConnection>,
  ) {
    this.#clock = clock;
    this.#options = options;
    this.#open = open;
    this.#places = new Semaphore(options.connectionsPerPeer, options.queueMax);
  }

  /**
   * Waits for a place and takes an idle connection or opens one.
   *
   * @param options - `fresh`: do not take an idle one
   * @throws PeerError (`busy` when the queue is full); what `open` throws; the signal's reason
   */
  async borrow(signal: AbortSignal, options: { fresh: boolean }): Promise<BorrowedConnection> {
    const leave = await this.#enter(signal);
    try {
      const idle = options.fresh ? undefined : this.#takeIdle();
      const connection = idle ?? (await this.#open(signal));
      return this.#lend(connection, leave, idle !== undefined);
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** An idle connection, at once; undefined when there is none, or others wait for a place. */
  takeIdle(): BorrowedConnection | undefined {
    const leave = this.#idle.length === 0 ? undefined : this.#places.tryAcquire();
    if (leave === undefined) return undefined;
    const connection = this.#takeIdle();
    if (connection === undefined) leave();
    return connection === undefined ? undefined : this.#lend(connection, leave, true);
  }

  /** Drops idle connections, e.g. when the peer has restarted. */
  dropIdle(): void {
    this.#sweep?.cancel();
    this.#sweep = undefined;
    for (const { connection } of this.#idle.splice(0)) connection.close();
  }

  /** Drops idle connections; those that are given back later are dropped, too. */
  close(): void {
    this.#closed = true;
    this.dropIdle();
  }

  async #enter(signal: AbortSignal): Promise<() => void> {
    try {
      return await this.#places.acquire(signal);
    } catch (cause) {
      if (!(cause instanceof QueueFullError)) throw cause;
      throw new PeerError('busy', 'too many requests wait for this peer', {
        retryable: true,
        cause,
      });
    }
  }

  #lend(connection: BulkConnection, leave: () => void, reused: boolean): BorrowedConnection {
    const giveBack = () => {
      this.#keep(connection);
      leave();
    };
    return { connection, reused, giveBack };
  }

  #takeIdle(): BulkConnection | undefined {
    for (;;) {
      const connection = this.#idle.pop()?.connection;
      if (connection === undefined || connection.usable) return connection;
    }
  }

  #keep(connection: BulkConnection): void {
    if (!connection.usable || this.#closed) {
      connection.close();
      return;
    }
    this.#idle.push({ connection, sinceMs: this.#clock.nowMs() });
    this.#armSweep();
  }

  #armSweep(): void {
    const [oldest] = this.#idle;
    if (oldest === undefined || this.#sweep !== undefined) return;
    const dueMs = oldest.sinceMs + this.#options.idleTimeoutMs - this.#clock.nowMs();
    this.#sweep = this.#clock.setTimer(Math.max(1, dueMs), () => {
      this.#sweep = undefined;
      const limitMs = this.#clock.nowMs() - this.#options.idleTimeoutMs;
      while (this.#idle[0] !== undefined && this.#idle[0].sinceMs <= limitMs) {
        this.#idle.shift()?.connection.close();
      }
      this.#armSweep();
    });
  }
}
