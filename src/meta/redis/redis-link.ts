import { abortReason } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import { CallGuard, type CallName, type GuardedCall } from '../call-guard.ts';
import { CALLS_MAX, type EngineContext } from '../engine-context.ts';
import { MetaError } from '../engine.ts';
import { OpMetrics } from '../op-metrics.ts';
import { retryCall, type RetryPolicy } from '../retry.ts';
import { createRedisClient, type RedisClient } from './redis-connect.ts';
import { isLoginRefusal, toMetaError } from './redis-errors.ts';
import type { RedisUrl } from './redis-url.ts';
import { WriteBatch } from './write-batch.ts';

const FIRST_PAUSE_MS = 20;
const PAUSE_MAX_MS = 1000;

/** What a link needs beside the URL. */
export interface RedisLinkOptions {
  readonly context: EngineContext;
  readonly url: RedisUrl;
  readonly password: string;
  readonly sentinelPassword: string;
}

/**
 * The connection to Redis: one client of the library for all calls, which are pipelined on it.
 * (The library's own auto-pipelining was slower at every concurrency tried: it sends a batch only
 * when the one before is answered.) Keeps trying to connect, and repeats calls meanwhile.
 */
export class RedisLink {
  readonly #options: RedisLinkOptions;
  readonly #logger: Logger;
  readonly #guard: CallGuard;
  readonly #metrics: OpMetrics;
  readonly #policy: RetryPolicy;
  readonly #batch = new WriteBatch();
  readonly #waitingForReady = new Set<() => void>();
  #client: RedisClient | undefined;
  #isAway = false;
  #lastConnectError: Error | undefined;

  constructor(options: RedisLinkOptions) {
    const { clock, random, deadlineMs, metrics, logger } = options.context;
    this.#options = options;
    this.#logger = logger.child({ meta: options.url.display });
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

  /** Begins to connect; calls wait until that has worked. */
  open(): void {
    const { context, url, password, sentinelPassword } = this.#options;
    const client = createRedisClient(url, {
      password,
      sentinelPassword,
      silenceMaxMs: silenceMaxMs(context),
      reconnectDelayMs: (tries) =>
        Math.min(FIRST_PAUSE_MS * 2 ** Math.min(tries, 10), PAUSE_MAX_MS),
    });
    client.on('error', (error: Error) => this.#onError(error));
    client.on('node error', (error: Error) => this.#onError(error));
    client.on('ready', () => this.#onReady());
    client.on('close', () => this.#onClose());
    client.on('end', () => this.#onEnd(client));
    this.#client = client;
    this.#connect(client);
  }

  /** Ends the connection; calls that are under way fail. */
  close(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.disconnect();
    this.#wakeAll();
  }

  /**
   * Makes a call: `work` is run with the client, again after each failure that may pass. Work of more
   * than a few commands looks at `call.isOver` between them.
   *
   * @throws MetaError; the signal's reason when aborted
   */
  run<T>(
    name: CallName,
    signal: AbortSignal,
    work: (client: RedisClient, call: GuardedCall) => Promise<T>,
  ): Promise<T> {
    return this.#metrics.measure(name.op, () =>
      this.#guard.run(name, signal, (call) =>
        retryCall(call, this.#policy, () => {
          const client = this.#client;
          if (client?.status !== 'ready') {
            return this.#whenReady(call).then((ready) => work(ready, call));
          }
          this.#batch.join(client);
          return work(client, call);
        }),
      ),
    );
  }

  async #whenReady(call: GuardedCall): Promise<RedisClient> {
    const client = this.#client;
    if (client === undefined) throw new MetaError('unavailable', 'Redis: the engine is stopped');
    if (client.status === 'ready') return client;
    this.#failIfRefused();
    call.lastError = this.#lastConnectError;
    await this.#nextChange(call.signal);
    return this.#whenReady(call);
  }

  /** Waits until the connection works, is refused, or is closed by us. */
  #nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortReason(signal));
        return;
      }
      const wake = () => {
        this.#waitingForReady.delete(wake);
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        this.#waitingForReady.delete(wake);
        reject(abortReason(signal));
      };
      this.#waitingForReady.add(wake);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #failIfRefused(): void {
    const error = this.#lastConnectError;
    if (error !== undefined && isLoginRefusal(error)) {
      throw new MetaError('refused', `Redis: ${error.message}`, { cause: error });
    }
  }

  #connect(client: RedisClient): void {
    client.connect().catch((error: unknown) => this.#onError(error as Error));
  }

  #onError(error: Error): void {
    // A closed connection says less than what closed it.
    if (error.message !== 'Connection is closed.') this.#lastConnectError = error;
    this.#logger.debug({ error }, 'connection to Redis failed');
    if (isLoginRefusal(error)) this.#wakeAll();
  }

  #onReady(): void {
    this.#lastConnectError = undefined;
    if (this.#isAway) this.#logger.info({}, 'connected to Redis again');
    this.#isAway = false;
    this.#wakeAll();
  }

  #onClose(): void {
    if (this.#isAway || this.#client === undefined) return;
    this.#isAway = true;
    this.#logger.warn({ error: this.#lastConnectError }, 'connection to Redis lost');
  }

  /** The library gives up after some failures (a Sentinel set-up that is wrong, for example). */
  #onEnd(client: RedisClient): void {
    if (this.#client !== client) return;
    this.#options.context.clock.setTimer(PAUSE_MAX_MS, () => {
      if (this.#client === client && client.status === 'end') this.#connect(client);
    });
  }

  #wakeAll(): void {
    for (const wake of this.#waitingForReady) wake();
  }
}

/** A third of a call's time, so that it survives one connection that has silently died. */
export function silenceMaxMs({ deadlineMs }: EngineContext): number {
  return Math.max(100, Math.floor(deadlineMs / 3));
}
