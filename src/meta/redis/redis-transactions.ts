import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { sleep } from '../../runtime/deadline.ts';
import { CallGuard, type GuardedCall } from '../call-guard.ts';
import { CommitGate } from '../commit-gate.ts';
import { CALLS_MAX, type EngineContext } from '../engine-context.ts';
import { MetaError } from '../engine.ts';
import { OpMetrics } from '../op-metrics.ts';
import { retryCall, type RetryPolicy } from '../retry.ts';
import { TurnTaker } from '../turn-taker.ts';
import { WallTime } from '../wall-time.ts';
import type { DirStats, IdCounter } from '../write/meta-tx.ts';
import type { MetaTransactions, Transacted, TransactOptions } from '../write/transactions.ts';
import { runWriteOp, type WriteArgs, type WriteOp, type WriteResult } from '../write/write-ops.ts';
import { execute, TxConflict } from './redis-exec.ts';
import type { RedisAcl } from './redis-acl.ts';
import { toMetaError } from './redis-errors.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import type { RedisPool, TxConnection } from './redis-pool.ts';
import { RedisTx } from './redis-tx.ts';

/** As other clients do it. */
const TRIES_MAX = 50;
const FIRST_PAUSE_MS = 20;
const PAUSE_MAX_MS = 1000;

/** What transactions on Redis work with. */
export interface RedisTransactionsParts {
  readonly link: RedisLink;
  readonly pool: RedisPool;
  readonly keys: RedisKeys;
  readonly acl: RedisAcl;
  readonly context: EngineContext;
}

/** Runs bodies under WATCH, MULTI and EXEC, again when somebody else was faster. */
export class RedisTransactions implements MetaTransactions {
  readonly #parts: RedisTransactionsParts;
  readonly #guard: CallGuard;
  readonly #metrics: OpMetrics;
  readonly #policy: RetryPolicy;
  readonly #turns = new TurnTaker();
  readonly #wallTime: WallTime;

  constructor(parts: RedisTransactionsParts) {
    const { clock, random, deadlineMs, metrics } = parts.context;
    this.#parts = parts;
    this.#guard = new CallGuard({ clock, timeoutMs: deadlineMs, callsMax: CALLS_MAX });
    this.#metrics = new OpMetrics(metrics, clock);
    this.#wallTime = new WallTime(clock);
    this.#policy = {
      clock,
      random,
      firstPauseMs: FIRST_PAUSE_MS,
      pauseMaxMs: PAUSE_MAX_MS,
      classify: toMetaError,
      onRetry: (error) => this.#metrics.countRetry(error),
    };
  }

  async transact<Op extends WriteOp>(
    op: Op,
    args: WriteArgs<Op>,
    options: TransactOptions,
  ): Promise<Transacted<WriteResult<Op>>> {
    const gate = new CommitGate(options.signal);
    const { target } = options;
    try {
      return await this.#metrics.measure(op, () =>
        this.#guard.run({ op, target }, gate.signal, (call) =>
          this.#turns.run(options.turns, call.signal, () =>
            this.#untilCommitted({ op, args, options, gate }, call),
          ),
        ),
      );
    } catch (error) {
      throw gate.isCommitting ? unknownOutcome(op, target, error) : error;
    } finally {
      gate.close();
    }
  }

  async takeIds(counter: IdCounter, count: number, signal: AbortSignal): Promise<bigint> {
    const { link, keys } = this.#parts;
    const key = keys[counter];
    // A try whose answer is lost wastes ids, which is harmless.
    const last = await link.run({ op: 'takeIds', target: key }, signal, (client) =>
      client.incrby(key, count),
    );
    return BigInt(last) - BigInt(count) + 1n;
  }

  putDirStats(dir: Ino, stats: DirStats, signal: AbortSignal): Promise<void> {
    const { keys } = this.#parts;
    const { dirDataLength, dirUsedSpace, dirUsedInodes } = keys;
    return this.#onConnection({ op: 'putDirStats', target: dir }, signal, async ({ client }) => {
      await client.watch(keys.attr(dir));
      if ((await client.exists(keys.attr(dir))) === 0) {
        await client.unwatch();
        return;
      }
      const values: [string, bigint][] = [
        [dirDataLength, stats.length],
        [dirUsedSpace, stats.space],
        [dirUsedInodes, stats.inodes],
      ];
      const words = values.map(([key, value]) => ['HSET', key, String(dir), String(value)]);
      await execute(
        client,
        words.map((command) => ({ words: command, told: undefined })),
      );
    });
  }

  async hasDirQuotas(signal: AbortSignal): Promise<boolean> {
    const { link, keys } = this.#parts;
    const name = { op: 'hasDirQuotas', target: keys.dirQuota };
    const [limits, used] = await link.run(name, signal, (client) =>
      Promise.all([client.hlen(keys.dirQuota), client.hlen(keys.dirQuotaUsedInodes)]),
    );
    return limits > 0 || used > 0;
  }

  async checkWritable(): Promise<void> {
    // Keys need no preparation.
  }

  /** Ends all connections. */
  close(): void {
    this.#parts.pool.close();
  }

  #onConnection<T>(
    name: { op: string; target: Ino },
    signal: AbortSignal,
    work: (connection: TxConnection) => Promise<T>,
  ): Promise<T> {
    return this.#metrics.measure(name.op, () =>
      this.#guard.run(name, signal, (call) =>
        retryCall(call, this.#policy, () =>
          this.#parts.pool
            .use(call.signal, () => false, work)
            .catch((error: unknown) => {
              throw error instanceof TxConflict ? again(error) : error;
            }),
        ),
      ),
    );
  }

  async #untilCommitted<Op extends WriteOp>(
    work: TxWork<Op>,
    call: GuardedCall,
  ): Promise<Transacted<WriteResult<Op>>> {
    const { clock, random } = this.#parts.context;
    for (let tries = 1; ; tries += 1) {
      try {
        return await retryCall(call, this.#policy, () => this.#try(work, call));
      } catch (error) {
        if (!(error instanceof TxConflict) || tries >= TRIES_MAX) throw giveUp(error, tries);
        call.lastError = error;
        this.#metrics.countRetry(new MetaError('unavailable', error.message));
      }
      await sleep(clock, random.below(tries * tries), call.signal);
    }
  }

  #try<Op extends WriteOp>(
    { op, args, options, gate }: TxWork<Op>,
    call: GuardedCall,
  ): Promise<Transacted<WriteResult<Op>>> {
    const { pool, keys, acl } = this.#parts;
    const now = this.#wallTime.now();
    const isOpen = (ino: Ino) => options.open.has(ino);
    return pool.use(call.signal, mayKeep, async ({ client, batch }) => {
      const context = { ...options.context, now };
      const tx = new RedisTx({ client, batch, keys, acl, context, isOpen });
      try {
        const result = await runWriteOp(tx, op, args);
        if (tx.queued.length > 0) await gate.commit(() => execute(client, tx.queued));
        else await confirm(tx, client);
        return { result, staleStats: [...tx.staleStats] };
      } catch (error) {
        // What was read in several steps may never have been true at once.
        if (mayBeStale(error)) await confirm(tx, client);
        throw error;
      }
    });
  }
}

interface TxWork<Op extends WriteOp> {
  readonly op: Op;
  readonly args: WriteArgs<Op>;
  readonly options: TransactOptions;
  readonly gate: CommitGate;
}

/** Refusals and conflicts leave the connection as it was; after all else it is given up. */
function mayKeep(error: unknown): boolean {
  return error instanceof FsError || error instanceof TxConflict;
}

/** What a body decided by what it had read. */
function mayBeStale(error: unknown): boolean {
  return error instanceof FsError || (error instanceof MetaError && error.code === 'corrupt');
}

/** Ends the watching. @throws TxConflict when something of what was watched has changed */
async function confirm(tx: RedisTx, client: TxConnection['client']): Promise<void> {
  if (tx.isWatching) await execute(client, [{ words: ['PING'], told: undefined }]);
}

function giveUp(error: unknown, tries: number): unknown {
  if (!(error instanceof TxConflict)) return error;
  const message = `others were faster ${tries} times`;
  return new MetaError('unavailable', message, { retryable: true, cause: error });
}

function again(error: TxConflict): MetaError {
  return new MetaError('unavailable', error.message, { retryable: true, cause: error });
}

function unknownOutcome(op: string, target: Ino, error: unknown): unknown {
  if (error instanceof FsError) return error;
  const message = `${op} ${target}: it is not known whether it was done`;
  return new MetaError('outcome-unknown', message, { cause: error });
}
