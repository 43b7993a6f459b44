import { PieceChecker } from '../../src/block/piece-sums.ts';
import type { Canary } from './canary.ts';
import { replaceProperty } from './replace-property.ts';

/** Cache files are believed without a look at their checksums. */
export const uncheckedFiles: Canary = {
  about: 'checksums of cache files are not compared',
  plant: () => ({
    planting: { settings: (right) => ({ ...right, verify: 'none' }) },
    uproot: () => undefined,
  }),
};

/** What peers send is believed. */
export const uncheckedPeers: Canary = {
  about: 'checksums of what peers send are not compared',
  scenario: 'fast/damaged-packets',
  plant() {
    const taken = new WeakMap<PieceChecker, number>();
    const update = function (this: PieceChecker, bytes: Uint8Array): boolean {
      taken.set(this, (taken.get(this) ?? 0) + bytes.byteLength);
      return true;
    };
    const checkedBytes = function (this: PieceChecker): number {
      return taken.get(this) ?? 0;
    };
    const ends = [
      replaceProperty(PieceChecker.prototype, 'update', { value: update }),
      replaceProperty(PieceChecker.prototype, 'checkedBytes', { get: checkedBytes }),
    ];
    return {
      planting: {},
      uproot: () => {
        for (const end of ends) end();
      },
    };
  },
};
