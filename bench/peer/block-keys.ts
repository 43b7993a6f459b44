import type { BlockKey } from '../../src/block/block-key.ts';
import type { SideSettings } from './messages.ts';

/** The blocks that the owner holds and the reader asks for. */
export function blockKeys({ blocks, blockBytes }: SideSettings): BlockKey[] {
  return Array.from({ length: blocks }, (_, index) => ({
    sliceId: BigInt(index + 1),
    index: 0,
    sizeBytes: blockBytes,
  }));
}
