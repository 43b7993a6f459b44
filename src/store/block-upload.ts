import type { BlockKey } from '../block/block-key.ts';
import { objectKeyOf } from '../block/object-key.ts';
import type { Clock } from '../runtime/clock.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { abortReason, sleep } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import { backoffMs } from './backoff.ts';
import { type BlockFormat, encodeBlock } from './block-format.ts';
import type { ObjectStore } from './object-store.ts';

/** How a {@link BlockUpload} works. */
export interface BlockUploadOptions {
  readonly store: ObjectStore;
  readonly format: BlockFormat;
  /** How often a failed block is tried again (`--io-retries`). */
  readonly ioRetries: number;
  /** No new attempt begins after this time, default 180 000. */
  readonly giveUpAfterMs?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const DEFAULT_GIVE_UP_AFTER_MS = 180_000;
/** Ten retries bridge 45 s on average: object stores restart within that. */
const BACKOFF = { baseMs: 200, maxMs: 10_000 };

/** Takes new blocks, to keep them until they are removed. */
export interface BlockStorage {
  /**
   * Stores a block: it is safe when this resolves.
   *
   * @param plain - `key.sizeBytes` bytes that do not change until this settles
   * @throws StoreError after the last attempt; the signal's reason when aborted
   */
  put(key: BlockKey, plain: Uint8Array, signal: AbortSignal): Promise<void>;
  /**
   * Deletes a block that no slice list names.
   *
   * @throws StoreError; the signal's reason when aborted
   */
  remove(key: BlockKey, signal: AbortSignal): Promise<void>;
}

/** Puts new blocks into the object store, as the volume wants them stored. */
export class BlockUpload implements BlockStorage {
  readonly #options: BlockUploadOptions;

  constructor(options: BlockUploadOptions) {
    this.#options = options;
  }

  /** {@link BlockStorage.put}: the object store has it. */
  async put(key: BlockKey, plain: Uint8Array, signal: AbortSignal): Promise<void> {
    const { store, format, clock, random, logger, metrics } = this.#options;
    const name = objectKeyOf(format.naming, key);
    const object = await encodeBlock(format, plain, random);
    const startMs = clock.nowMs();
    for (let attempt = 1; ; attempt += 1) {
      try {
        await store.put(name, object, signal);
        return;
      } catch (error) {
        if (signal.aborted) throw abortReason(signal);
        if (!this.#mayTryAgain(error, attempt, clock.nowMs() - startMs)) throw error;
        metrics.counter(RETRIES).add();
        const fields = { object: name, attempt, error: String(error) };
        logger.warn(fields, 'block could not be stored, trying again');
      }
      await sleep(clock, backoffMs(BACKOFF, attempt, random), signal);
    }
  }

  async remove(key: BlockKey, signal: AbortSignal): Promise<void> {
    const { store, format } = this.#options;
    await store.delete(objectKeyOf(format.naming, key), signal);
  }

  /** Whether the object store has a block. @throws StoreError; the signal's reason when aborted */
  async has(key: BlockKey, signal: AbortSignal): Promise<boolean> {
    const { store, format } = this.#options;
    return (await store.head(objectKeyOf(format.naming, key), signal)) !== undefined;
  }

  #mayTryAgain(error: unknown, attempt: number, elapsedMs: number): boolean {
    const { ioRetries, giveUpAfterMs = DEFAULT_GIVE_UP_AFTER_MS } = this.#options;
    const isRetryable = error instanceof CodedError && error.retryable;
    return isRetryable && attempt <= ioRetries && elapsedMs <= giveUpAfterMs;
  }
}

const RETRIES = {
  name: 'origin_put_retries',
  help: 'Blocks that were sent to the object store again after a failure.',
};
