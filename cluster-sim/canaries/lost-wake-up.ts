import type { ByteRange } from '../../src/block/byte-range.ts';
import { BlockFlight } from '../../src/mesh/block-flight.ts';
import type { Canary } from './canary.ts';
import { replaceProperty } from './replace-property.ts';

/** Of the readers that have to wait for a flight so many later ones are forgotten. */
const EVERY = 10;

/** Somebody who waits for a block on its way is not told that it has come. */
export const lostWakeUp: Canary = {
  about: 'every tenth reader that waits for a flight is never woken',
  plant() {
    // oxlint-disable-next-line typescript/unbound-method -- applied to a flight below
    const right = BlockFlight.prototype.read;
    let waited = 0;
    const read = async function (this: BlockFlight, range: ByteRange, signal: AbortSignal) {
      const mustWait = range.offset + range.length > this.readyBytes;
      if (mustWait) waited += 1;
      const bytes = await right.call(this, range, signal);
      if (mustWait && waited % EVERY === 0) await new Promise(() => undefined);
      return bytes;
    };
    const uproot = replaceProperty(BlockFlight.prototype, 'read', { value: read });
    return { planting: {}, uproot };
  },
};
