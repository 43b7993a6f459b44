import type { Member } from './block-exchange.ts';

/** Where nodes of a group find each other: the sessions in the volume's metadata. */
export interface DiscoverySource {
  /**
   * All nodes that say they are in the group, ourselves included or not.
   *
   * @throws what its storage throws; the signal's reason when aborted
   */
  list(signal: AbortSignal): Promise<readonly Member[]>;
}
