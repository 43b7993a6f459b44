import type { BlockKey } from '../../src/block/block-key.ts';
import type { ByteRange } from '../../src/block/byte-range.ts';
import { SharedBlocks } from '../../src/mesh/shared-blocks.ts';
import type { Canary } from './canary.ts';
import { replaceProperty } from './replace-property.ts';

const EVERY = 5;

/** Memory that was sent to a peer is not given back. */
export const leakedPin: Canary = {
  about: 'every fifth block sent from memory stays pinned for ever',
  plant() {
    // oxlint-disable-next-line typescript/unbound-method -- applied to the right object below
    const right = SharedBlocks.prototype.hold;
    let count = 0;
    const hold = function (this: SharedBlocks, key: BlockKey, range: ByteRange) {
      const held = right.call(this, key, range);
      count += 1;
      return held && count % EVERY === 0 ? { ...held, release: () => undefined } : held;
    };
    const uproot = replaceProperty(SharedBlocks.prototype, 'hold', { value: hold });
    return { planting: {}, uproot };
  },
};
