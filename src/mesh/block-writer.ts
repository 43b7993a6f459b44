import { type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { Clock } from '../runtime/clock.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { abortReason, withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Counter, Metrics } from '../runtime/metrics.ts';
import type { BlockStorage } from '../store/block-upload.ts';
import type { MemoryTier } from '../store/tier.ts';
import type { LocalBlocks } from './local-blocks.ts';

/** A new block could not be stored; `cause` is the object store's error. */
export class BlockWriteError extends CodedError<'failed'> {}

/** Takes new blocks. */
export interface BlockSink {
  /**
   * Stores a block; when this resolves the origin has it, or will have it as it is safe on a disk of ours.
   *
   * @param plain - `key.sizeBytes` bytes that do not change until this settles
   * @throws BlockWriteError when it is given up; the signal's reason when aborted
   */
  put(key: BlockKey, plain: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Takes back blocks that were put and that nobody will ever read, in the background. */
  discard(keys: readonly BlockKey[]): void;
}

/** What a {@link BlockWriter} works with. */
export interface BlockWriterParts {
  readonly upload: BlockStorage;
  readonly memory: MemoryTier;
  readonly local: LocalBlocks;
  /** Whether this node keeps a block on its disks for the group. */
  readonly keepsOnDisk: (key: BlockKey) => boolean;
  /** Memory kept for cached blocks is more than nothing. */
  readonly keepInMemory: boolean;
  /** Told of each block that was stored, after it was put where it is kept. */
  readonly onStored?: ((key: BlockKey) => void) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Bound of a block with all attempts: those begin within 180 s, and one may take a PUT's time-outs. */
const PUT_TIMEOUT_MS = 400_000;
const DISCARD_TIMEOUT_MS = 60_000;
/** Blocks that wait to be discarded; more are left for `gc`. */
const DISCARDS_MAX = 10_000;

/** Stores new blocks in the origin and keeps them at hand: what was just written is often read. */
export class BlockWriter implements BlockSink {
  readonly #parts: BlockWriterParts;
  readonly #failed: Counter;
  readonly #leaked: Counter;
  readonly #stopping = new AbortController();
  #discarding = 0;

  constructor(parts: BlockWriterParts) {
    this.#parts = parts;
    const counter = (name: string, help: string) => parts.metrics.counter({ name, help });
    this.#failed = counter('block_write_failures', 'New blocks that could not be stored');
    this.#leaked = counter('block_discard_failures', 'Unused objects that are left for gc');
  }

  async put(key: BlockKey, plain: Uint8Array, signal: AbortSignal): Promise<void> {
    const { upload, clock } = this.#parts;
    const wait = { what: `storing block ${blockIdOf(key)}`, timeoutMs: PUT_TIMEOUT_MS, signal };
    try {
      await withDeadline(clock, wait, (timed) => upload.put(key, plain, timed));
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      this.#failed.add();
      const message = `block ${blockIdOf(key)} could not be stored: ${String(error)}`;
      throw new BlockWriteError('failed', message, { cause: error });
    }
    this.#keep(key, plain);
    this.#parts.onStored?.(key);
  }

  discard(keys: readonly BlockKey[]): void {
    for (const key of keys) {
      this.#parts.memory.delete(blockIdOf(key));
      if (this.#discarding >= DISCARDS_MAX) this.#leaked.add();
      else void this.#discard(key);
    }
  }

  /** Objects that still wait to be discarded are left for `gc`. */
  stop(): void {
    this.#stopping.abort(new BlockWriteError('failed', 'the daemon is stopping'));
  }

  async #discard(key: BlockKey): Promise<void> {
    const { upload, clock, logger } = this.#parts;
    const what = `deleting unused block ${blockIdOf(key)}`;
    const wait = { what, timeoutMs: DISCARD_TIMEOUT_MS, signal: this.#stopping.signal };
    this.#discarding += 1;
    try {
      await withDeadline(clock, wait, (timed) => upload.remove(key, timed));
    } catch (error) {
      this.#leaked.add();
      logger.warn({ block: blockIdOf(key), error: String(error) }, 'an unused object is left');
    } finally {
      this.#discarding -= 1;
    }
  }

  #keep(key: BlockKey, plain: Uint8Array): void {
    const { memory, local, keepsOnDisk, keepInMemory } = this.#parts;
    const id = blockIdOf(key);
    const onDisk = keepsOnDisk(key);
    if ((!onDisk && !keepInMemory) || memory.has(id)) return;
    const room = memory.reserve(key.sizeBytes);
    if (room === undefined) return;
    room.bytes.set(plain);
    const held = room.commit(id, { keep: keepInMemory });
    local.keep(id, held, { onDisk, done: () => undefined });
  }
}
