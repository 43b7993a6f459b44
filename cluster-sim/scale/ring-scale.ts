import { nodeIdOf } from '../node/node-ids.ts';
import { HashRing, type RingMember } from '../../src/ring/hash-ring.ts';

/** Keys per node: sampling alone makes the fullest of 4,000 nodes look 5 % too full with so many. */
const KEYS_PER_NODE = 5_000;
const KEYS_MAX = 8_000_000;
/** Nodes get weights of 100, and every fourth one 200. */
const LARGE_EVERY = 4;

/** How evenly a ring spreads keys, and what a join moves. */
export interface RingScale {
  readonly nodes: number;
  readonly keys: number;
  /** The fullest node's keys, as a multiple of its share by weight. */
  readonly maxOverMean: number;
  /** Share of the keys that a join moves, as a multiple of the new node's share by weight. */
  readonly movedOverShare: number;
  /** Keys that moved between two nodes of which neither is the new one. */
  readonly movedElsewhere: number;
}

/** Measures the ring of `nodes` nodes with a sample of keys. */
export function measureRing(nodes: number): RingScale {
  const members = membersOf(nodes);
  const joined = membersOf(nodes + 1);
  const before = HashRing.build(members, 1);
  const after = HashRing.build(joined, 2);
  const newcomer = joined.at(-1)?.nodeId;
  const keys = Math.min(KEYS_MAX, nodes * KEYS_PER_NODE);
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
    if (next !== newcomer) movedElsewhere += 1;
  }
  const weights = members.reduce((sum, { weight }) => sum + weight, 0);
  const ratios = members.map(({ nodeId, weight }) => {
    return (counts.get(nodeId) ?? 0) / ((keys * weight) / weights);
  });
  const own = joined.at(-1)?.weight ?? 0;
  const share = own / (weights + own);
  return {
    nodes,
    keys,
    maxOverMean: ratios.reduce((most, ratio) => Math.max(most, ratio), 0),
    movedOverShare: moved / keys / share,
    movedElsewhere,
  };
}

function membersOf(nodes: number): RingMember[] {
  return Array.from({ length: nodes }, (_, number) => ({
    nodeId: nodeIdOf(number),
    weight: number % LARGE_EVERY === LARGE_EVERY - 1 ? 200 : 100,
  }));
}
