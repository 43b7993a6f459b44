import { blockIdOf } from '../../src/block/block-key.ts';
import type { Cluster } from '../node/cluster.ts';
import type { SimNode } from '../node/sim-node.ts';
import type { Violation } from './violation.ts';

const LOOK_MS = 100;

/** What {@link checkAgreement} found. */
export interface Agreement {
  /** Undefined when the nodes never agreed. */
  readonly tookMs: number | undefined;
  readonly violations: readonly Violation[];
}

/** All nodes come to see the same members, which are those that run, and the same owners. */
export async function checkAgreement(cluster: Cluster, limitMs: number): Promise<Agreement> {
  const { world } = cluster;
  const sinceMs = world.nowMs;
  for (;;) {
    const text = disagreement(cluster);
    const tookMs = world.nowMs - sinceMs;
    if (text === undefined) return { tookMs, violations: [] };
    if (tookMs >= limitMs) {
      const full = `after ${limitMs} ms: ${text}`;
      return { tookMs: undefined, violations: [{ check: 'rings agree', text: full }] };
    }
    await world.sleep(LOOK_MS);
  }
}

function disagreement(cluster: Cluster): string | undefined {
  const nodes = cluster.nodes;
  const away = nodes.find((node) => !node.isUp);
  if (away !== undefined) return `node ${away.number} does not run`;
  const wanted = nodes.map(({ id, weight }) => `${id} ${weight}`).sort();
  for (const node of nodes) {
    const seen = membersOf(node);
    if (seen.join() !== wanted.join()) {
      return `node ${node.number} sees ${seen.join(', ')}, not ${wanted.join(', ')}`;
    }
  }
  const [first, ...others] = nodes.map((node) => ownersOf(cluster, node));
  const other = others.findIndex((owners) => owners !== first);
  return other < 0 ? undefined : `nodes 0 and ${other + 1} name different owners`;
}

function membersOf({ process }: SimNode): string[] {
  const members = process?.membership.current().members ?? [];
  return members.map(({ nodeId, weight }) => `${nodeId} ${weight}`).sort();
}

function ownersOf(cluster: Cluster, { process }: SimNode): string {
  const { keys } = cluster.volume;
  return keys.map((key) => process?.ring.owners(blockIdOf(key), 2).join() ?? '').join(' ');
}
