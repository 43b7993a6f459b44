import { nodeIdOf } from '../node/node-ids.ts';
import { HashRing, type RingMember } from '../../src/ring/hash-ring.ts';

/** Keys per node: sampling alone makes the fullest of 4,000 nodes look 5 % too full with so many. */
const KEYS_PER_NODE = 5_000;
/** For small groups, so that what a join moves is not the sample's chance. */
const KEYS_LEAST = 1_000_000;
/** Nodes get weights of 100, and every fourth one 200. */
const LARGE_EVERY = 4;
/** Nodes that join, of large groups: of a single one's share sampling alone is wrong by 2 %. */
const NEWCOMERS_MAX = 16;
const NODES_PER_NEWCOMER = 10;

/** How evenly a ring spreads keys, and what joins move. */
export interface RingScale {
  readonly nodes: number;
  readonly keys: number;
  /** The fullest node's keys, as a multiple of its share by weight. */
  readonly maxOverMean: number;
  /** Nodes that join. */
  readonly newcomers: number;
  /** Share of the keys that they move, as a multiple of their share by weight. */
  readonly movedOverShare: number;
  /** Keys that moved between two nodes of which neither is new. */
  readonly movedElsewhere: number;
}

/** Measures the ring of `nodes` nodes with a sample of keys. */
export function measureRing(nodes: number): RingScale {
  const newcomers = Math.min(NEWCOMERS_MAX, Math.ceil(nodes / NODES_PER_NEWCOMER));
  const joined = membersOf(nodes + newcomers);
  const members = joined.slice(0, nodes);
  const before = HashRing.build(members, 1);
  const after = HashRing.build(joined, 2);
  const arrived = new Set<string | undefined>(joined.slice(nodes).map(({ nodeId }) => nodeId));
  const keys = Math.max(KEYS_LEAST, nodes * KEYS_PER_NODE);
  const counts = new Map<string, number>();
  let moved = 0;
  let movedElsewhere = 0;
  for (let key = 0; key < keys; key += 1) {
    const name = `${1_000 + key}_0_4194304`;
    const owner = before.owner(name) ?? '';
    counts.set(owner, (counts.get(owner) ?? 0) + 1);
    const next = after.owner(name);
    if (next === owner) continue;
    moved += 1;
    if (!arrived.has(next)) movedElsewhere += 1;
  }
  const weights = weightOf(members);
  const ratios = members.map(({ nodeId, weight }) => {
    return (counts.get(nodeId) ?? 0) / ((keys * weight) / weights);
  });
  const share = 1 - weights / weightOf(joined);
  const maxOverMean = ratios.reduce((most, ratio) => Math.max(most, ratio), 0);
  const movedOverShare = moved / keys / share;
  return { nodes, keys, maxOverMean, newcomers, movedOverShare, movedElsewhere };
}

function membersOf(nodes: number): RingMember[] {
  return Array.from({ length: nodes }, (_, number) => ({
    nodeId: nodeIdOf(number),
    weight: number % LARGE_EVERY === LARGE_EVERY - 1 ? 200 : 100,
  }));
}

function weightOf(members: readonly RingMember[]): number {
  return members.reduce((sum, { weight }) => sum + weight, 0);
}
