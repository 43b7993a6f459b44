import { type BlockId, type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { Logger } from '../runtime/logger.ts';
import type { AttemptRequest, AttemptResult } from './fill-attempt.ts';
import type { LoadMetrics } from './load-metrics.ts';
import { BlockReadError } from './loader.ts';

/** New blocks that wait on this node's disks to be uploaded. */
export interface StagedBlocks {
  has(id: BlockId): boolean;
  /**
   * Reads a range of a block, checked.
   *
   * @returns false when the block does not wait here
   * @throws what is wrong with the disk, or the block; the signal's reason when aborted
   */
  read(key: BlockKey, range: ByteRange, into: Uint8Array, signal: AbortSignal): Promise<boolean>;
}

/** What waits on this node's disks as the first source of a block. */
export class StageSource {
  readonly #parts: {
    readonly staged: StagedBlocks;
    readonly metrics: LoadMetrics;
    readonly logger: Logger;
  };

  constructor(parts: { staged: StagedBlocks; metrics: LoadMetrics; logger: Logger }) {
    this.#parts = parts;
  }

  /** Asks the disk. @throws the signal's reason when aborted */
  async try({ key, range, into, signal }: AttemptRequest): Promise<AttemptResult> {
    const { staged, metrics, logger } = this.#parts;
    try {
      if (await staged.read(key, range, into, signal)) {
        metrics.event('staged-read');
        return { ok: true };
      }
      // Uploaded since the plan was made.
      return { ok: false, error: undefined, instead: [] };
    } catch (error) {
      if (signal.aborted) throw error;
      metrics.event('staged-failed');
      const message = `staged block ${blockIdOf(key)} could not be read: ${String(error)}`;
      logger.warn(
        { block: blockIdOf(key), error: String(error) },
        'a staged block could not be read',
      );
      const failure = new BlockReadError('failed', message, { cause: error, retryable: true });
      return { ok: false, error: failure, instead: [] };
    }
  }
}
