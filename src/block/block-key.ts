/**
 * Names the bytes of one block for ever: blocks are immutable, so equal keys mean equal bytes.
 */
export interface BlockKey {
  readonly sliceId: bigint;
  /** Number of the block in its slice, from 0. */
  readonly index: number;
  /** Plain length of the block in bytes (before compression and encryption). */
  readonly sizeBytes: number;
}

/** A block's name in maps, on the wire and in cache files: `<slice>_<index>_<size>`. */
export type BlockId = string & { readonly __brand: 'BlockId' };

const BLOCK_ID = /^(0|[1-9][0-9]{0,19})_(0|[1-9][0-9]{0,5})_([1-9][0-9]{0,8})$/;

/** @returns the block's name */
export function blockIdOf(key: BlockKey): BlockId {
  return `${key.sliceId}_${key.index}_${key.sizeBytes}` as BlockId;
}

/** @returns the key, or undefined when `text` is not a block's name */
export function parseBlockId(text: string): BlockKey | undefined {
  const match = BLOCK_ID.exec(text);
  if (match === null) return undefined;
  return {
    sliceId: BigInt(match[1] as string),
    index: Number(match[2]),
    sizeBytes: Number(match[3]),
  };
}
