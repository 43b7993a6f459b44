import type { BlockKey } from '../block/block-key.ts';
import { sliceBlocks } from '../block/slice-blocks.ts';
import { Semaphore } from '../runtime/semaphore.ts';

/** Objects of one slice that are deleted side by side; a slice has up to 1024 blocks. */
const AT_ONCE = 16;
const BLOCKS_MAX = 1024;

/** Deletes the objects of whole slices. */
export class SliceRemover {
  readonly #origin: { remove(key: BlockKey, signal: AbortSignal): Promise<void> };
  readonly #blockBytes: number;

  /**
   * @param origin - deletes one block; that it is not there is no error
   * @param blockBytes - of a full block
   */
  constructor(
    origin: { remove(key: BlockKey, signal: AbortSignal): Promise<void> },
    blockBytes: number,
  ) {
    this.#origin = origin;
    this.#blockBytes = blockBytes;
  }

  /**
   * @param slice - `size`: bytes of the whole slice
   * @throws what the origin throws, when all other blocks have been tried too
   */
  async removeSlice(
    { id, size }: { readonly id: bigint; readonly size: number },
    signal: AbortSignal,
  ): Promise<void> {
    const places = new Semaphore(AT_ONCE, BLOCKS_MAX);
    const removals = sliceBlocks(id, size, this.#blockBytes).map((key) =>
      places.run(() => this.#origin.remove(key, signal), signal),
    );
    const results = await Promise.allSettled(removals);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}
