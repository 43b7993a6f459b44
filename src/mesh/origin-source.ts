import type { BlockSource } from '../block/block-source.ts';
import { StoreError } from '../store/object-store.ts';
import type { AttemptRequest, AttemptResult } from './fill-attempt.ts';
import type { LoadMetrics } from './load-metrics.ts';
import { BlockReadError } from './loader.ts';

/** The origin of a volume's blocks. */
export interface OriginBlocks extends BlockSource {
  /** Whether parts of a block can be had: compressed and encrypted blocks come whole only. */
  readonly rangeable: boolean;
}

/** The object store as the last source of a block. */
export class OriginSource {
  readonly #blocks: OriginBlocks;
  readonly #metrics: LoadMetrics;

  constructor(blocks: OriginBlocks, metrics: LoadMetrics) {
    this.#blocks = blocks;
    this.#metrics = metrics;
  }

  /** Asks the origin. @throws what is not its failure; the signal's reason when aborted */
  async try(request: AttemptRequest): Promise<AttemptResult> {
    const { key, range, into, signal } = request;
    let readyBytes = 0;
    const onProgress = (bytes: number) => {
      readyBytes = bytes;
      request.onProgress(bytes);
    };
    try {
      if (this.#blocks.rangeable || range.length === key.sizeBytes) {
        await this.#blocks.fill(key, range, into, { signal, onProgress });
      } else {
        await this.#cutFromWhole(request);
      }
      this.#metrics.source('origin', 'ok', range.length);
      return { ok: true };
    } catch (error) {
      this.#metrics.source('origin', signal.aborted ? 'aborted' : 'failed', readyBytes);
      if (signal.aborted || !(error instanceof StoreError)) throw error;
      this.#metrics.event('origin-failed');
      const { message, retryable } = error;
      const failure = new BlockReadError(codeOf(error), message, { cause: error, retryable });
      return { ok: false, error: failure, instead: [] };
    }
  }

  /** A part of a block that the origin has whole only. */
  async #cutFromWhole({ key, range, into, signal }: AttemptRequest): Promise<void> {
    const whole = Buffer.allocUnsafe(key.sizeBytes);
    await this.#blocks.fill(key, { offset: 0, length: key.sizeBytes }, whole, { signal });
    into.set(whole.subarray(range.offset, range.offset + range.length));
  }
}

function codeOf(error: StoreError): 'missing' | 'corrupt' | 'failed' {
  if (error.code === 'not-found') return 'missing';
  return error.code === 'corrupt' ? 'corrupt' : 'failed';
}
