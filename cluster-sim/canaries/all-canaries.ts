import type { Canary } from './canary.ts';
import { deadTimeout } from './dead-timeout.ts';
import { doubleFetch } from './double-fetch.ts';
import { earlyReuse } from './early-reuse.ts';
import { leakedPin } from './leaked-pin.ts';
import { lostWakeUp } from './lost-wake-up.ts';
import { uncheckedFiles, uncheckedPeers } from './missing-checksum.ts';
import { openDoor } from './open-door.ts';
import { NO_PLANTING } from './planting.ts';
import { realChance } from './real-chance.ts';
import { staleOwner } from './stale-owner.ts';
import { unboundedQueue } from './unbounded-queue.ts';

/** All canaries by name. */
export const CANARIES: ReadonlyMap<string, Canary> = new Map([
  ['stale-owner', staleOwner],
  ['unchecked-files', uncheckedFiles],
  ['unchecked-peers', uncheckedPeers],
  ['lost-wake-up', lostWakeUp],
  ['unbounded-queue', unboundedQueue],
  ['double-fetch', doubleFetch],
  ['dead-timeout', deadTimeout],
  ['leaked-pin', leakedPin],
  ['early-reuse', earlyReuse],
  ['open-door', openDoor],
  ['real-chance', realChance],
]);

/** @param name - undefined: nothing is planted @throws Error when there is no such canary */
export function plantingOf(name: string | undefined): ReturnType<Canary['plant']> {
  if (name === undefined) return { planting: NO_PLANTING, uproot: () => undefined };
  const canary = CANARIES.get(name);
  if (canary === undefined) throw new Error(`there is no canary '${name}'`);
  return canary.plant();
}
