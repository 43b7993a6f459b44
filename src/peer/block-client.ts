import assert from 'node:assert/strict';
import type { BlockId, BlockKey } from '../block/block-key.ts';
import type { FillOptions } from '../block/block-source.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { NodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';
import { DeadlineError, withDeadline } from '../runtime/deadline.ts';
import { type HeldIn, type PeerClient, PeerError } from './block-exchange.ts';
import { HOLDS_IDS_MAX } from './block-message.ts';
import type { BulkConnection, Exchange } from './bulk-connection.ts';
import { ConnectionPool, type PoolOptions } from './connection-pool.ts';
import { FillExchange } from './fill-exchange.ts';
import { HoldsExchange } from './holds-exchange.ts';
import type { PeerMetrics } from './peer-metrics.ts';

/** How long a peer may take. */
export interface FetchTimeouts {
  /** For the ticket and the bulk connection together. */
  readonly connectMs: number;
  /** The peer must send something at least this often, if only that it still works on it. */
  readonly silenceMs: number;
  /** For a request in all, the wait for a connection included. */
  readonly totalMs: number;
}

/** A dead peer costs a second, or two when it dies while a connection is opened. */
export const DEFAULT_FETCH_TIMEOUTS: FetchTimeouts = {
  connectMs: 1000,
  silenceMs: 1000,
  totalMs: 30_000,
};

/** Asks peers for blocks over pooled bulk connections. */
export class BlockClient implements PeerClient {
  readonly #clock: Clock;
  readonly #metrics: PeerMetrics;
  readonly #timeouts: FetchTimeouts;
  readonly #poolOptions: PoolOptions;
  readonly #dial: (node: NodeId, signal: AbortSignal) => Promise<BulkConnection>;
  readonly #pools = new Map<NodeId, ConnectionPool>();

  /** @param options - `dial` opens a connection and has a deadline of its own */
  constructor(options: {
    clock: Clock;
    metrics: PeerMetrics;
    timeouts: FetchTimeouts;
    pool: PoolOptions;
    dial: (node: NodeId, signal: AbortSignal) => Promise<BulkConnection>;
  }) {
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#timeouts = options.timeouts;
    this.#poolOptions = options.pool;
    this.#dial = options.dial;
  }

  // oxlint-disable-next-line eslint/max-params -- the contract's order: whom, what, where to
  async fill(
    node: NodeId,
    key: BlockKey,
    range: ByteRange,
    into: Uint8Array,
    options: FillOptions,
  ): Promise<void> {
    assert(into.byteLength === range.length, 'the buffer is not as long as the range');
    if (range.length === 0) return;
    const startedMs = this.#clock.nowMs();
    await this.#ask(node, options.signal, () => {
      return new FillExchange(key, range, into, options.onProgress);
    });
    this.#metrics.getBlocks.add();
    this.#metrics.getBytes.add(range.length);
    this.#metrics.getSeconds.observe((this.#clock.nowMs() - startedMs) / 1000);
  }

  async holds(node: NodeId, ids: readonly BlockId[], signal: AbortSignal): Promise<HeldIn[]> {
    const tiers: HeldIn[] = [];
    for (let at = 0; at < ids.length; at += HOLDS_IDS_MAX) {
      const some = ids.slice(at, at + HOLDS_IDS_MAX);
      const exchange = await this.#ask(node, signal, () => new HoldsExchange(some));
      tiers.push(...exchange.tiers);
    }
    return tiers;
  }

  /** Closes the connections to a node that has left. */
  forget(node: NodeId): void {
    this.#pools.get(node)?.close();
    this.#pools.delete(node);
  }

  /** Closes all idle connections; those in use close when they are given back. */
  close(): void {
    for (const node of this.#pools.keys()) this.forget(node);
  }

  async #ask<T extends Exchange>(node: NodeId, signal: AbortSignal, make: () => T): Promise<T> {
    const options = { what: `reading from ${node}`, timeoutMs: this.#timeouts.totalMs, signal };
    try {
      return await withDeadline(this.#clock, options, (inner) => this.#attempt(node, inner, make));
    } catch (error) {
      const failure = signal.aborted ? error : toPeerError(node, error);
      const reason = failure instanceof PeerError ? failure.code : 'aborted';
      this.#metrics.getErrors(reason).add();
      throw failure;
    }
  }

  async #attempt<T extends Exchange>(node: NodeId, signal: AbortSignal, make: () => T): Promise<T> {
    const pool = this.#poolOf(node);
    const exchange = make();
    const borrowed = await pool.borrow(signal, { fresh: false });
    const { connection } = borrowed;
    try {
      await connection.run(exchange, this.#timeouts.silenceMs, signal);
      return exchange;
    } catch (error) {
      // The peer closed an idle connection just when it was taken: that is no failure of the peer.
      const stale = borrowed.reused && !connection.heard && !connection.usable;
      if (!stale || !(error instanceof PeerError) || error.code !== 'unreachable') throw error;
    } finally {
      borrowed.giveBack();
    }
    pool.dropIdle();
    return await this.#attemptFresh(pool, signal, make());
  }

  async #attemptFresh<T extends Exchange>(
    pool: ConnectionPool,
    signal: AbortSignal,
    exchange: T,
  ): Promise<T> {
    const borrowed = await pool.borrow(signal, { fresh: true });
    try {
      await borrowed.connection.run(exchange, this.#timeouts.silenceMs, signal);
      return exchange;
    } finally {
      borrowed.giveBack();
    }
  }

  #poolOf(node: NodeId): ConnectionPool {
    let pool = this.#pools.get(node);
    if (pool === undefined) {
      pool = new ConnectionPool(this.#clock, this.#poolOptions, (signal) =>
        this.#dial(node, signal),
      );
      this.#pools.set(node, pool);
    }
    return pool;
  }
}

/** Names the peer in what went wrong. */
function toPeerError(node: NodeId, error: unknown): unknown {
  if (error instanceof PeerError) {
    const { code, message, retryable } = error;
    if (message.includes(node)) return error;
    return new PeerError(code, `${node}: ${message}`, { retryable, cause: error });
  }
  if (error instanceof DeadlineError) {
    return new PeerError('timeout', error.message, { retryable: true, cause: error });
  }
  return error;
}
