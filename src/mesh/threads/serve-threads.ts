import type { BulkListener, ListenerParts } from '../../peer/bulk-listener.ts';
import type { Endpoint } from '../../peer/network.ts';
import type { ServeLimitOptions } from '../../peer/serve-limits.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { SharedMemory } from '../../runtime/system/shared-memory.ts';
import type { ServeThreadData, TiersPlace } from './serve-messages.ts';
import { ServeThread } from './serve-thread.ts';

/** A thread that has died is started again after this. */
const RESTART_MS = 1000;

/** What {@link ServeThreads} works with. */
export interface ServeThreadsOptions {
  /** Threads, ≥ 1. */
  readonly count: number;
  readonly tiers: TiersPlace;
  /** The memory tier's arena on this thread. */
  readonly memory: Pick<SharedMemory, 'bytes' | 'base'>;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/**
 * Takes bulk connections on several threads that share one port. What is in memory or in an open
 * cache file is served without this thread. Limits on connections, requests and strangers hold for
 * each thread; those on bytes are spread over them.
 */
export class ServeThreads implements BulkListener {
  readonly #options: ServeThreadsOptions;
  readonly #parts: ListenerParts;
  readonly #threads = new Set<ServeThread>();
  readonly #timers = new Set<Timer>();
  #port = 0;
  #host = '';
  #isStopped = false;

  constructor(options: ServeThreadsOptions, parts: ListenerParts) {
    this.#options = options;
    this.#parts = parts;
  }

  get port(): number {
    return this.#port;
  }

  async start(at: Endpoint): Promise<void> {
    this.#host = at.host;
    try {
      // The first one gets a port when any will do; the others join it there.
      this.#port = await this.#startOne(at.port);
      const others = Array.from({ length: this.#options.count - 1 }, () =>
        this.#startOne(this.#port),
      );
      await Promise.all(others);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#port = 0;
    for (const timer of this.#timers) timer.cancel();
    await Promise.all([...this.#threads].map((thread) => thread.stop()));
  }

  async #startOne(port: number): Promise<number> {
    const { count, tiers, memory, clock, metrics, logger } = this.#options;
    const { handler, credentials, limits, timeouts } = this.#parts;
    const data: ServeThreadData = {
      ...{ tiers, credentials, timeouts },
      limits: { ...limits, ...shareOf(limits, count) },
      at: { host: this.#host, port },
    };
    const parts = { handler, memory, clock, metrics, logger };
    const thread = new ServeThread(data, parts, () => this.#onDeath(thread));
    this.#threads.add(thread);
    try {
      return await thread.listening;
    } catch (error) {
      // One that does not listen is of no use. With its end another one takes its place.
      await thread.stop();
      throw error;
    }
  }

  #onDeath(thread: ServeThread): void {
    this.#threads.delete(thread);
    if (this.#isStopped || this.#port === 0) return;
    const { clock, logger } = this.#options;
    const timer = clock.setTimer(RESTART_MS, () => {
      this.#timers.delete(timer);
      this.#startOne(this.#port).catch((error: unknown) => {
        logger.error({ err: error }, 'a serving thread could not be started again');
      });
    });
    this.#timers.add(timer);
  }
}

function shareOf({ bytes, bytesPerPeer }: ServeLimitOptions, count: number) {
  return { bytes: Math.ceil(bytes / count), bytesPerPeer: Math.ceil(bytesPerPeer / count) };
}
