import type { Logger } from '../../runtime/logger.ts';
import { sleep } from '../../runtime/deadline.ts';
import { CallGuard, type CallName, type GuardedCall } from '../call-guard.ts';
import { CommitGate } from '../commit-gate.ts';
import { CALLS_MAX, type EngineContext } from '../engine-context.ts';
import { MetaError } from '../engine.ts';
import { OpMetrics } from '../op-metrics.ts';
import { retryCall, type RetryPolicy } from '../retry.ts';
import type { SqliteOp, SqliteOps, TransactRequest } from './sqlite-protocol.ts';
import { SqliteThread } from './sqlite-thread.ts';
import type { SqliteUrl } from './sqlite-url.ts';

const FIRST_PAUSE_MS = 10;
const PAUSE_MAX_MS = 500;
/** How long closing may take before the thread is ended by force. */
const CLOSE_MS = 2000;

/** The database behind a thread: starts it again when it has died, and repeats calls meanwhile. */
export class SqliteLink {
  readonly #url: SqliteUrl;
  readonly #context: EngineContext;
  readonly #logger: Logger;
  readonly #guard: CallGuard;
  readonly #metrics: OpMetrics;
  readonly #policy: RetryPolicy;
  #thread: SqliteThread | undefined;
  #isOpen = true;
  #nextId = 0;

  constructor(url: SqliteUrl, context: EngineContext) {
    const { clock, random, deadlineMs, metrics, logger } = context;
    this.#url = url;
    this.#context = context;
    this.#logger = logger.child({ meta: url.path });
    this.#guard = new CallGuard({ clock, timeoutMs: deadlineMs, callsMax: CALLS_MAX });
    this.#metrics = new OpMetrics(metrics, clock);
    this.#policy = {
      clock,
      random,
      firstPauseMs: FIRST_PAUSE_MS,
      pauseMaxMs: PAUSE_MAX_MS,
      classify: toMetaError,
      onRetry: (error) => this.#metrics.countRetry(error),
    };
  }

  /**
   * Has the thread run an operation, again after each failure that may pass.
   *
   * @param target - what it concerns, for messages
   * @throws MetaError; the signal's reason when aborted
   */
  run<Op extends SqliteOp>(
    op: Op,
    args: Parameters<SqliteOps[Op]>,
    options: { target: CallName['target']; signal: AbortSignal },
  ): Promise<ReturnType<SqliteOps[Op]>> {
    const { target, signal } = options;
    return this.#metrics.measure(op, () =>
      this.#guard.run({ op, target }, signal, (call) =>
        retryCall(call, this.#policy, () => this.#send(op, args, call)),
      ),
    );
  }

  /**
   * Has the thread make a change. What has been sent is waited for, whatever the signal says.
   *
   * @param make - makes the request anew for each try
   * @throws FsError; MetaError; the signal's reason when aborted before
   */
  change(
    name: CallName,
    signal: AbortSignal,
    make: () => TransactRequest,
  ): Promise<ReturnType<SqliteOps['transact']>> {
    const gate = new CommitGate(signal);
    const work = (call: GuardedCall) =>
      retryCall(call, this.#policy, () =>
        gate.commit(() => this.#send('transact', [make()], call)),
      );
    return this.#metrics
      .measure(name.op, () => this.#guard.run(name, gate.signal, work))
      .catch((error: unknown) => {
        throw gate.isCommitting ? unknownOutcome(name, error) : error;
      })
      .finally(() => gate.close());
  }

  /** Closes the database; calls that are under way fail. */
  async close(): Promise<void> {
    this.#isOpen = false;
    const thread = this.#thread;
    if (thread === undefined) return;
    const inTime = new AbortController();
    const tooLate = sleep(this.#context.clock, CLOSE_MS, inTime.signal).then(
      () => thread.terminate(),
      () => undefined,
    );
    await Promise.race([thread.close(), tooLate]);
    inTime.abort();
  }

  #send<Op extends SqliteOp>(
    op: Op,
    args: Parameters<SqliteOps[Op]>,
    call: GuardedCall,
  ): Promise<ReturnType<SqliteOps[Op]>> {
    if (!this.#isOpen) {
      return Promise.reject(new MetaError('unavailable', 'SQLite: the engine is stopped'));
    }
    const thread = (this.#thread ??= this.#startThread());
    this.#nextId += 1;
    const request = { id: this.#nextId, op, args };
    return new Promise((resolve, reject) => {
      thread.send({
        request,
        isOver: () => call.isOver,
        resolve: (value) => resolve(value as ReturnType<SqliteOps[Op]>),
        reject,
      });
    });
  }

  #startThread(): SqliteThread {
    const { path, tablePrefix } = this.#url;
    const thread = new SqliteThread({ path, tablePrefix }, (error) => {
      if (this.#thread === thread) this.#thread = undefined;
      if (this.#isOpen) this.#logger.error({ error }, 'the SQLite thread has died');
    });
    return thread;
  }
}

function unknownOutcome({ op, target }: CallName, cause: unknown): MetaError {
  const message = `${op} ${target}: it is not known whether it was done`;
  return new MetaError('outcome-unknown', message, { cause });
}

function toMetaError(error: unknown): MetaError {
  if (error instanceof MetaError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new MetaError('refused', `SQLite: ${message}`, { cause: error });
}
