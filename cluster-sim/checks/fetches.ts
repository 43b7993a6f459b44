import { DEFAULT_SERVE_LIMITS } from '../../src/peer/serve-limits.ts';
import type { Cluster } from '../node/cluster.ts';
import type { OriginFetch } from '../origin/sim-origin.ts';
import type { CheckLimits } from '../scenario/scenario.ts';
import type { Violation } from './violation.ts';

/** When the ring is stable: before the first fault, and again once all nodes agree after the last one. */
export interface StableTimes {
  readonly untilMs: number;
  readonly againFromMs: number;
}

/**
 * While the ring is stable, whole blocks are fetched from the origin by one node at a time, or by each
 * of their holders; with `fetchedOnce`, once at all.
 */
export function checkFetches(
  cluster: Cluster,
  stable: StableTimes,
  { fetchedOnce }: CheckLimits,
): Violation[] {
  // Who is told that its peer is busy goes to the origin by itself.
  if (cluster.settings.requestsPerPeer < DEFAULT_SERVE_LIMITS.requestsPerPeer) return [];
  const violations: Violation[] = [];
  for (const [block, fetches] of wholeFetches(cluster)) {
    const before = fetches.filter(({ endMs = Infinity }) => endMs < stable.untilMs);
    const after = fetches.filter(({ startMs }) => startMs >= stable.againFromMs);
    // Afterwards a node may still pass another one over for a moment: then two fetch, but none fetches twice.
    const tooMany = [
      { each: before, holders: cluster.settings.replicas },
      { each: after, holders: Number.POSITIVE_INFINITY },
    ].find(({ each, holders }) => areTooMany(each, holders))?.each;
    if (fetchedOnce && fetches.length > 1) {
      const text = `block ${block} was fetched ${fetches.length} times: ${timesOf(fetches)}`;
      violations.push({ check: 'one fetch per block', text });
    } else if (tooMany !== undefined) {
      const text = `block ${block} was fetched twice at once: ${timesOf(tooMany)}`;
      violations.push({ check: 'one fetch per block and flight', text });
    }
  }
  return violations;
}

function wholeFetches({ origin }: Cluster): Map<string, OriginFetch[]> {
  const byBlock = new Map<string, OriginFetch[]>();
  for (const fetch of origin.fetches) {
    if (!fetch.isWhole) continue;
    const known = byBlock.get(fetch.block);
    if (known === undefined) byBlock.set(fetch.block, [fetch]);
    else known.push(fetch);
  }
  return byBlock;
}

/**
 * Whether a node fetched it twice at once, or more nodes than are to hold it. A holder that another
 * one has nothing for fetches it by itself: holders do not wait for each other.
 */
function areTooMany(fetches: readonly OriginFetch[], holders: number): boolean {
  return fetches.some(({ node, startMs }, at) => {
    const others = fetches.slice(0, at).filter(({ endMs = Infinity }) => endMs > startMs);
    return others.length >= holders || others.some((other) => other.node === node);
  });
}

function timesOf(fetches: readonly OriginFetch[]): string {
  return fetches.map(({ node, startMs }) => `node ${node} at ${startMs.toFixed(0)} ms`).join(', ');
}
