import { GUESSED_SECRET } from '../faults/stranger.ts';
import type { Canary } from './canary.ts';

/** The group's secret can be guessed. */
export const openDoor: Canary = {
  about: 'the group uses a secret that strangers know',
  plant: () => ({ planting: { secret: GUESSED_SECRET }, uproot: () => undefined }),
};
