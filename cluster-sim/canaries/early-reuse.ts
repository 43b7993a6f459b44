import { LeaseTable } from '../../src/runtime/lease-table.ts';
import type { Canary } from './canary.ts';
import { replaceProperty } from './replace-property.ts';

/** Memory is used again while somebody reads it. */
export const earlyReuse: Canary = {
  about: 'pins are not looked at when memory is used again',
  plant() {
    const uproot = replaceProperty(LeaseTable.prototype, 'isPinned', { value: () => false });
    return { planting: {}, uproot };
  },
};
