import { DEFAULT_SERVE_LIMITS } from '../../src/peer/serve-limits.ts';
import type { FaultSchedule } from '../faults/fault-schedule.ts';
import type { Cluster } from '../node/cluster.ts';
import type { OriginFetch } from '../origin/sim-origin.ts';
import type { CheckLimits } from '../scenario/scenario.ts';
import type { Violation } from './violation.ts';

/**
 * While the ring is stable, whole blocks are fetched from the origin by one node at a time, or by each
 * of their holders; with `fetchedOnce`, once at all.
 */
export function checkFetches(
  cluster: Cluster,
  faults: FaultSchedule,
  { fetchedOnce }: CheckLimits,
): Violation[] {
  // Who is told that its peer is busy goes to the origin by itself.
  if (cluster.settings.requestsPerPeer < DEFAULT_SERVE_LIMITS.requestsPerPeer) return [];
  const { firstMs } = faults.span;
  const byBlock = new Map<string, OriginFetch[]>();
  for (const fetch of cluster.origin.fetches) {
    const isCounted = fetch.isWhole && (fetchedOnce || (fetch.endMs ?? firstMs) < firstMs);
    if (!isCounted) continue;
    const known = byBlock.get(fetch.block) ?? [];
    byBlock.set(fetch.block, [...known, fetch]);
  }
  const violations: Violation[] = [];
  for (const [block, fetches] of byBlock) {
    const times = fetches.map(({ node, startMs }) => `node ${node} at ${startMs.toFixed(0)} ms`);
    if (fetchedOnce && fetches.length > 1) {
      const text = `block ${block} was fetched ${fetches.length} times: ${times.join(', ')}`;
      violations.push({ check: 'one fetch per block', text });
    } else if (areTooMany(fetches, cluster.settings.replicas)) {
      const text = `block ${block} was fetched twice at once: ${times.join(', ')}`;
      violations.push({ check: 'one fetch per block and flight', text });
    }
  }
  return violations;
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
