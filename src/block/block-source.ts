import type { BlockKey } from './block-key.ts';
import type { ByteRange } from './byte-range.ts';

/** How a {@link BlockSource} reports and is stopped. */
export interface FillOptions {
  readonly signal: AbortSignal;
  /** Called with the number of leading bytes of `into` that are final, in growing order. */
  readonly onProgress?: (readyBytes: number) => void;
}

/** Something that can bring bytes of a block: the origin, or a peer. */
export interface BlockSource {
  /**
   * Fills `into` with bytes `range` of the block; `into.byteLength` equals `range.length`.
   *
   * Once the promise has settled nothing is written to `into` any more, whatever happened: the
   * memory is used again at once.
   *
   * On failure what stands in `into` has no meaning, except the bytes reported by `onProgress`.
   *
   * @throws a CodedError that names the object or the peer; the signal's reason when aborted
   */
  fill(key: BlockKey, range: ByteRange, into: Uint8Array, options: FillOptions): Promise<void>;
}
