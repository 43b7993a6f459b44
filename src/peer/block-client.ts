import assert from 'node:assert/strict';
import type { BlockId, BlockKey } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { NodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';
import { DeadlineError, withDeadline } from '../runtime/deadline.ts';
import {
  type HeldIn,
  type PeerClient,
  PeerError,
  type PeerFillOptions,
  ReferralError,
  type WantedBlock,
} from './block-exchange.ts';
import { HOLDS_IDS_MAX } from './block-message.ts';
import type { BulkConnection, Exchange } from './bulk-connection.ts';
import { type BorrowedConnection, ConnectionPool, type PoolOptions } from './connection-pool.ts';
import { FillExchange } from './fill-exchange.ts';
import { NUMBERED_VERSION } from './frame-codec.ts';
import { HoldsExchange } from './holds-exchange.ts';
import { batchesOf, ManyExchange } from './many-exchange.ts';
import type { HealthBook } from './peer-health.ts';
import type { PeerMetrics } from './peer-metrics.ts';

/** How long a peer may take. */
export interface FetchTimeouts {
  /** For the ticket and the bulk connection together; undefined: by the peer's own latency. */
  readonly connectMs: number | undefined;
  /**
   * The peer must send something at least this often, if only that it still works on it; undefined:
   * by the peer's own latency.
   */
  readonly silenceMs: number | undefined;
  /** For a request in all, the wait for a connection included. */
  readonly totalMs: number;
}

/** A dead peer costs what PeerHealth allows it: see DEADLINE_BOUNDS. */
export const DEFAULT_FETCH_TIMEOUTS: FetchTimeouts = {
  connectMs: undefined,
  silenceMs: undefined,
  totalMs: 30_000,
};

/** Asks peers for blocks over pooled bulk connections. */
export class BlockClient implements PeerClient {
  readonly #clock: Clock;
  readonly #metrics: PeerMetrics;
  readonly #health: HealthBook;
  readonly #timeouts: FetchTimeouts;
  readonly #poolOptions: PoolOptions;
  readonly #dial: (node: NodeId, signal: AbortSignal) => Promise<BulkConnection>;
  readonly #pools = new Map<NodeId, ConnectionPool>();

  /** @param options - `dial` opens a connection and has a deadline of its own */
  constructor(options: {
    clock: Clock;
    metrics: PeerMetrics;
    health: HealthBook;
    timeouts: FetchTimeouts;
    pool: PoolOptions;
    dial: (node: NodeId, signal: AbortSignal) => Promise<BulkConnection>;
  }) {
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#health = options.health;
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
    options: PeerFillOptions,
  ): Promise<void> {
    assert(into.byteLength === range.length, 'the buffer is not as long as the range');
    if (range.length === 0) return;
    const startedMs = this.#clock.nowMs();
    let begun = false;
    const onProgress = (readyBytes: number) => {
      if (!begun) this.#health.observe(node, 'block', this.#clock.nowMs() - startedMs);
      begun = true;
      options.onProgress?.(readyBytes);
    };
    this.#metrics.getRequests('one').add();
    await this.#ask(node, options.signal, () => {
      return new FillExchange(key, range, into, { ...options, onProgress });
    });
    this.#metrics.getBlocks.add();
    this.#metrics.getBytes.add(range.length);
    this.#metrics.getSeconds.observe((this.#clock.nowMs() - startedMs) / 1000);
  }

  async getMany(
    node: NodeId,
    wanted: readonly WantedBlock[],
    options: Omit<PeerFillOptions, 'onProgress'>,
  ): Promise<void> {
    for (const batch of batchesOf(wanted)) await this.#getBatch(node, batch, options);
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

  async #getBatch(
    node: NodeId,
    batch: readonly WantedBlock[],
    options: Omit<PeerFillOptions, 'onProgress'>,
  ): Promise<void> {
    const { mode = 'any', signal } = options;
    const { getBlocks, getBytes } = this.#metrics;
    const open = new Set(batch);
    const tracked = (wanted: WantedBlock): WantedBlock => ({
      ...{ key: wanted.key, into: wanted.into },
      onDone: (error) => {
        open.delete(wanted);
        if (error === undefined) {
          getBlocks.add();
          getBytes.add(wanted.key.sizeBytes);
        }
        wanted.onDone(error);
      },
    });
    const make = (version: number) => {
      if (version < NUMBERED_VERSION) return undefined;
      return new ManyExchange([...open].map(tracked), mode, options.onWorking);
    };
    this.#metrics.getRequests('many').add();
    const exchange = await this.#ask(node, signal, make);
    if (exchange === undefined) await this.#getSingly(node, batch, options);
  }

  /** For a peer of an older version. */
  async #getSingly(
    node: NodeId,
    batch: readonly WantedBlock[],
    options: Omit<PeerFillOptions, 'onProgress'>,
  ): Promise<void> {
    for (const wanted of batch) {
      const { key, into } = wanted;
      try {
        await this.fill(node, key, { offset: 0, length: key.sizeBytes }, into, options);
      } catch (error) {
        const isAboutBlock = error instanceof PeerError && BLOCK_ERRORS.has(error.code);
        if (!isAboutBlock) throw error;
        wanted.onDone(error);
        continue;
      }
      wanted.onDone(undefined);
    }
  }

  /** @param make - the exchange, in the version of the connection; undefined when it has none */
  async #ask<T extends Exchange | undefined>(
    node: NodeId,
    signal: AbortSignal,
    make: (version: number) => T,
  ): Promise<T> {
    try {
      const idle = signal.aborted ? undefined : this.#poolOf(node).takeIdle();
      const answer = idle === undefined ? undefined : await this.#tryIdle(node, idle, make, signal);
      if (answer !== undefined) return answer.exchange;
      const options = { what: `reading from ${node}`, timeoutMs: this.#timeouts.totalMs, signal };
      return await withDeadline(this.#clock, options, (inner) => this.#attempt(node, inner, make));
    } catch (error) {
      const failure = signal.aborted ? error : toPeerError(node, error);
      const reason = failure instanceof PeerError ? failure.code : 'aborted';
      if (!isAnswer(failure)) this.#metrics.getErrors(reason).add();
      throw failure;
    }
  }

  /** @returns undefined when the peer closed the connection just when it was taken: no failure of it */
  async #tryIdle<T extends Exchange | undefined>(
    node: NodeId,
    borrowed: BorrowedConnection,
    make: (version: number) => T,
    signal: AbortSignal,
  ): Promise<{ exchange: T } | undefined> {
    const { connection } = borrowed;
    try {
      const exchange = make(connection.version);
      if (exchange !== undefined) await this.#run(node, connection, exchange, signal);
      return { exchange };
    } catch (error) {
      const isStale = !connection.heard && !connection.usable;
      if (!isStale || !(error instanceof PeerError) || error.code !== 'unreachable') throw error;
    } finally {
      borrowed.giveBack();
    }
    this.#poolOf(node).dropIdle();
    return undefined;
  }

  async #attempt<T extends Exchange | undefined>(
    node: NodeId,
    signal: AbortSignal,
    make: (version: number) => T,
  ): Promise<T> {
    const borrowed = await this.#poolOf(node).borrow(signal, { fresh: false });
    if (borrowed.reused) {
      const answer = await this.#tryIdle(node, borrowed, make, signal);
      return answer === undefined ? await this.#attemptFresh(node, signal, make) : answer.exchange;
    }
    return await this.#runOn(node, borrowed, make, signal);
  }

  async #attemptFresh<T extends Exchange | undefined>(
    node: NodeId,
    signal: AbortSignal,
    make: (version: number) => T,
  ): Promise<T> {
    const borrowed = await this.#poolOf(node).borrow(signal, { fresh: true });
    return await this.#runOn(node, borrowed, make, signal);
  }

  async #runOn<T extends Exchange | undefined>(
    node: NodeId,
    borrowed: BorrowedConnection,
    make: (version: number) => T,
    signal: AbortSignal,
  ): Promise<T> {
    try {
      const exchange = make(borrowed.connection.version);
      if (exchange !== undefined) await this.#run(node, borrowed.connection, exchange, signal);
      return exchange;
    } finally {
      borrowed.giveBack();
    }
  }

  async #run(
    node: NodeId,
    connection: BulkConnection,
    exchange: Exchange,
    signal: AbortSignal,
  ): Promise<void> {
    const silenceMs = this.#timeouts.silenceMs ?? this.#health.deadlineMs(node, 'sign');
    try {
      const { totalMs } = this.#timeouts;
      await connection.run(exchange, { silenceMs, totalMs }, signal);
    } catch (error) {
      const silent = error instanceof PeerError && error.code === 'timeout';
      if (silent) this.#health.lose(node, 'sign');
      throw error;
    } finally {
      const { signMs } = connection;
      if (signMs !== undefined) this.#health.observe(node, 'sign', signMs);
    }
  }

  /** Opens a connection, which tells how long that takes with this peer. */
  async #connect(node: NodeId, signal: AbortSignal): Promise<BulkConnection> {
    const startedMs = this.#clock.nowMs();
    try {
      const connection = await this.#dial(node, signal);
      this.#health.observe(node, 'connect', this.#clock.nowMs() - startedMs);
      return connection;
    } catch (error) {
      if (error instanceof PeerError && error.code === 'timeout')
        this.#health.lose(node, 'connect');
      throw error;
    }
  }

  #poolOf(node: NodeId): ConnectionPool {
    let pool = this.#pools.get(node);
    if (pool === undefined) {
      pool = new ConnectionPool(this.#clock, this.#poolOptions, (signal) =>
        this.#connect(node, signal),
      );
      this.#pools.set(node, pool);
    }
    return pool;
  }
}

/** What a peer says about one block; it can still be asked for others. */
const BLOCK_ERRORS: ReadonlySet<string> = new Set(['absent', 'elsewhere', 'failed']);

/** `absent` and `elsewhere` say what was asked; the peer did not fail. */
function isAnswer(error: unknown): boolean {
  return error instanceof PeerError && (error.code === 'absent' || error.code === 'elsewhere');
}

/** Names the peer in what went wrong. */
function toPeerError(node: NodeId, error: unknown): unknown {
  if (error instanceof PeerError) {
    const { code, message, retryable } = error;
    if (message.includes(node) || error instanceof ReferralError) return error;
    return new PeerError(code, `${node}: ${message}`, { retryable, cause: error });
  }
  if (error instanceof DeadlineError) {
    return new PeerError('timeout', error.message, { retryable: true, cause: error });
  }
  return error;
}
