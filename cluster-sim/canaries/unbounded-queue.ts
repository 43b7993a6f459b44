import { ServeLimits } from '../../src/peer/serve-limits.ts';
import type { Canary } from './canary.ts';
import { replaceProperty } from './replace-property.ts';

/** Requests of peers are taken without limit. */
export const unboundedQueue: Canary = {
  about: 'a node serves as many requests of one peer as it sends',
  scenario: 'fast/crowded-owner',
  plant() {
    const enterRequest = () => () => undefined;
    const uproot = replaceProperty(ServeLimits.prototype, 'enterRequest', { value: enterRequest });
    return { planting: {}, uproot };
  },
};
