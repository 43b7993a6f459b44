import type { NodeTime } from '../world/node-time.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import type { OwnerRing } from '../../src/mesh/block-route.ts';
import type { PeerClient } from '../../src/peer/block-exchange.ts';
import type { ObjectStore } from '../../src/store/object-store.ts';
import type { NodeSettings } from '../node/node-settings.ts';

/**
 * Places where a bug can be planted between the parts of a node: each gets the right part and
 * returns it, or a broken one. What is left out is right.
 */
export interface Planting {
  readonly clock?: (right: NodeTime) => Clock;
  readonly ring?: (right: OwnerRing) => OwnerRing;
  readonly client?: (right: PeerClient) => PeerClient;
  readonly store?: (right: ObjectStore) => ObjectStore;
  readonly secret?: string;
  readonly settings?: (right: NodeSettings) => NodeSettings;
}

/** Nothing is planted. */
export const NO_PLANTING: Planting = {};
