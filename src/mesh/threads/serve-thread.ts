import { Worker } from 'node:worker_threads';
import type { BlockHandler } from '../../peer/block-exchange.ts';
import { PeerError } from '../../peer/block-exchange.ts';
import type { Clock } from '../../runtime/clock.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { applyCounted, type CountedBatch } from '../../runtime/relayed-metrics.ts';
import type { SharedMemory } from '../../runtime/system/shared-memory.ts';
import { CallAnswerer } from './call-answerer.ts';
import type { ServeMainMessage, ServeThreadData, ServeThreadMessage } from './serve-messages.ts';
import { workerUrl } from '../../runtime/worker-url.ts';

/** A thread has to listen within this. */
const START_TIMEOUT_MS = 10_000;
/** It closes its sessions within 2 s; behind this it is ended by force. */
const STOP_TIMEOUT_MS = 4_000;

/** What a thread is given on this side. */
export interface ServeThreadParts {
  readonly handler: BlockHandler;
  readonly memory: Pick<SharedMemory, 'bytes' | 'base'>;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** One serving thread, seen from the main thread. */
export class ServeThread {
  /** Resolves to the port. @throws PeerError (`failed`) when it cannot listen */
  readonly listening: Promise<number>;
  readonly #parts: ServeThreadParts;
  readonly #worker: Worker;
  readonly #answerer: CallAnswerer;
  readonly #listening = Promise.withResolvers<number>();
  readonly #ended = Promise.withResolvers<void>();
  /** What its gauges say, to be taken back when it is gone. */
  readonly #gauges = new Map<string, CountedBatch['gauges'][number]>();
  #isStopping = false;

  /** @param onDeath - called once when it is gone, asked for or not */
  constructor(data: ServeThreadData, parts: ServeThreadParts, onDeath: () => void) {
    this.#parts = parts;
    this.#worker = new Worker(workerUrl('serve-worker', import.meta.url), { workerData: data });
    const post = (message: ServeMainMessage) => this.#worker.postMessage(message);
    const { handler, memory, clock } = parts;
    this.#answerer = new CallAnswerer({ handler, memory, clock, post });
    this.listening = this.#within();
    this.listening.catch(() => undefined);
    let cause: unknown;
    this.#worker.on('message', (message: ServeThreadMessage) => this.#onMessage(message));
    this.#worker.on('error', (error) => {
      cause = error;
    });
    this.#worker.on('exit', (code) => {
      this.#onExit(code, cause);
      onDeath();
    });
  }

  /** Cuts off its peers and ends it. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const { clock, logger } = this.#parts;
    this.#worker.postMessage({ type: 'stop' } satisfies ServeMainMessage);
    const wait = { what: 'a serving thread', timeoutMs: STOP_TIMEOUT_MS };
    await withDeadline(clock, wait, () => this.#ended.promise).catch((error: unknown) => {
      logger.warn({ err: error }, 'a serving thread is ended by force');
    });
    await this.#worker.terminate();
  }

  async #within(): Promise<number> {
    const wait = { what: 'the start of a serving thread', timeoutMs: START_TIMEOUT_MS };
    return await withDeadline(this.#parts.clock, wait, () => this.#listening.promise);
  }

  #onMessage(message: ServeThreadMessage): void {
    switch (message.type) {
      case 'listening':
        return this.#listening.resolve(message.port);
      case 'refused':
        return this.#listening.reject(systemError(message));
      case 'serve':
      case 'holds':
        return this.#answerer.answer(message);
      case 'next':
        return this.#answerer.next(message.call);
      case 'cancel':
        return this.#answerer.cancel(message.call);
      case 'counted':
        return this.#count(message.batch);
      case 'log':
        return this.#parts.logger[message.level](message.fields, message.message);
      case 'stopped':
        return this.#ended.resolve();
    }
  }

  #count(batch: CountedBatch): void {
    applyCounted(this.#parts.metrics, batch);
    for (const { spec, amount } of batch.gauges) {
      const key = JSON.stringify([spec.name, spec.labels]);
      const before = this.#gauges.get(key)?.amount ?? 0;
      this.#gauges.set(key, { spec, amount: before + amount });
    }
  }

  #onExit(code: number, cause: unknown): void {
    const { metrics, logger } = this.#parts;
    this.#answerer.cancelAll();
    for (const { spec, amount } of this.#gauges.values()) metrics.gauge(spec).add(-amount);
    this.#ended.resolve();
    const message = `a serving thread has ended (exit code ${code})`;
    this.#listening.reject(new PeerError('failed', message, { cause }));
    if (this.#isStopping) return;
    metrics
      .counter({ name: 'remotecache_thread_deaths', help: 'Threads for peers that have died.' })
      .add();
    logger.error({ code, err: cause }, 'a serving thread has died; another one takes its place');
  }
}

function systemError({ message, code }: { message: string; code: string | undefined }): Error {
  return Object.assign(new Error(message), { code });
}
