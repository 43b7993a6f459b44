import assert from 'node:assert/strict';
import type { BlockId } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import { hashText, wordOf } from '../runtime/stable-hash.ts';

/** A node and its relative share of the keys. */
export interface RingMember {
  readonly nodeId: NodeId;
  /** ≥ 0 and finite; only ratios matter; 0 owns nothing. */
  readonly weight: number;
}

/**
 * Probes of a key. With P probes no node gets more than P / (P − 1) of its fair share, however
 * unevenly the points lie: 21 give 1.05 (Appleton and O'Reilly, "Multi-probe consistent hashing").
 */
const PROBES = 21;
/** Points of each node. The bound above holds for many points; small groups get them from here. */
const POINTS_PER_NODE = 64;
/** Nodes at most: the number of a node has 16 bits. */
const NODES_MAX = 65_535;
const CIRCLE = 2 ** 32;
const SEED_KEY_LOW = 0x6b657931;
const SEED_KEY_HIGH = 0x6b657932;
const SEED_NODE_LOW = 0x6e6f6431;
const SEED_NODE_HIGH = 0x6e6f6432;

/**
 * Which node owns which key: multi-probe consistent hashing with weights. Immutable and pure; equal
 * members give equal answers on every machine.
 *
 * Nodes have points on a circle and keys have probes. The distance from a probe forward to a point,
 * divided by the weight of the point's node, is a score, and the node with the lowest score over
 * all probes and points owns the key. Scores of one node do not depend on the other nodes, so a
 * node that joins or leaves moves only the keys that it gets or had.
 */
export class HashRing {
  /** The number of the group view that this ring was built from. */
  readonly epoch: number;
  /** Members with a weight above 0, by node id. */
  readonly members: readonly RingMember[];
  readonly #weights: Float64Array;
  readonly #weightMax: number;
  readonly #positions: Uint32Array;
  readonly #nodes: Uint16Array;
  /** `#starts[b]` is the first point whose position's leading bits are ≥ b. */
  readonly #starts: Uint32Array;
  readonly #shift: number;

  private constructor(members: readonly RingMember[], epoch: number) {
    this.epoch = epoch;
    this.members = members;
    this.#weights = Float64Array.from(members, (member) => member.weight);
    this.#weightMax = this.#weights.reduce((most, weight) => Math.max(most, weight), 0);
    const packed = packedPoints(members);
    this.#positions = Uint32Array.from(packed, (point) => Math.floor(point / (NODES_MAX + 1)));
    this.#nodes = Uint16Array.from(packed, (point) => point % (NODES_MAX + 1));
    const bits = Math.max(1, Math.ceil(Math.log2(packed.length + 1)));
    this.#shift = 32 - bits;
    this.#starts = startsOf(this.#positions, bits);
  }

  /**
   * @param members - each node once, in any order; at most 65,535 of weight above 0
   * @param epoch - number of the view, kept for the caller
   */
  static build(members: readonly RingMember[], epoch: number): HashRing {
    const owning = members.filter(({ weight }) => {
      assert(Number.isFinite(weight) && weight >= 0, `weight ${weight} is not a share`);
      return weight > 0;
    });
    // Plain code unit order: localeCompare differs between machines.
    owning.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
    assert(owning.length <= NODES_MAX, `${owning.length} nodes are too many for a ring`);
    assert(
      new Set(owning.map(({ nodeId }) => nodeId)).size === owning.length,
      'a node is in twice',
    );
    return new HashRing(owning, epoch);
  }

  /** @returns the node that owns `key`, or undefined when no member has a weight */
  owner(key: string | BlockId): NodeId | undefined {
    const low = hashText(key, SEED_KEY_LOW);
    const high = hashText(key, SEED_KEY_HIGH);
    let best = Number.POSITIVE_INFINITY;
    let bestNode = -1;
    for (let probe = 0; probe < PROBES; probe += 1) {
      const from = wordOf(low, high, probe);
      let at = this.#firstPoint(from);
      for (let step = 0; step < this.#positions.length; step += 1) {
        const distance = this.#distance(from, at);
        if (distance / this.#weightMax > best) break;
        const node = this.#nodes[at] as number;
        const score = distance / (this.#weights[node] as number);
        if (score < best || (score === best && node < bestNode)) {
          best = score;
          bestNode = node;
        }
        at = at + 1 === this.#positions.length ? 0 : at + 1;
      }
    }
    return this.members[bestNode]?.nodeId;
  }

  /**
   * The first `count` nodes in the order in which they would own `key` if those before them left.
   *
   * @param count - ≥ 0; fewer nodes come back when there are not as many
   */
  owners(key: string | BlockId, count: number): NodeId[] {
    const wanted = Math.min(count, this.members.length);
    const low = hashText(key, SEED_KEY_LOW);
    const high = hashText(key, SEED_KEY_HIGH);
    const ranking = new Ranking(wanted);
    for (let probe = 0; wanted > 0 && probe < PROBES; probe += 1) {
      const from = wordOf(low, high, probe);
      let at = this.#firstPoint(from);
      for (let step = 0; step < this.#positions.length; step += 1) {
        const distance = this.#distance(from, at);
        if (distance / this.#weightMax > ranking.worst()) break;
        const node = this.#nodes[at] as number;
        ranking.offer(node, distance / (this.#weights[node] as number));
        at = at + 1 === this.#positions.length ? 0 : at + 1;
      }
    }
    return ranking.nodes().map((node) => (this.members[node] as RingMember).nodeId);
  }

  #distance(from: number, at: number): number {
    return ((this.#positions[at] as number) - from) >>> 0;
  }

  #firstPoint(from: number): number {
    let at = this.#starts[from >>> this.#shift] as number;
    while (at < this.#positions.length && (this.#positions[at] as number) < from) at += 1;
    return at === this.#positions.length ? 0 : at;
  }
}

/** The nodes of lowest score, each once. */
class Ranking {
  readonly #limit: number;
  readonly #entries: { node: number; score: number }[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  worst(): number {
    if (this.#entries.length < this.#limit) return Number.POSITIVE_INFINITY;
    return this.#entries.at(-1)?.score ?? Number.POSITIVE_INFINITY;
  }

  offer(node: number, score: number): void {
    const known = this.#entries.findIndex((entry) => entry.node === node);
    if (known >= 0) {
      if ((this.#entries[known]?.score as number) <= score) return;
      this.#entries.splice(known, 1);
    }
    const place = this.#entries.findIndex(
      (entry) => score < entry.score || (score === entry.score && node < entry.node),
    );
    this.#entries.splice(place < 0 ? this.#entries.length : place, 0, { node, score });
    if (this.#entries.length > this.#limit) this.#entries.pop();
  }

  nodes(): number[] {
    return this.#entries.map((entry) => entry.node);
  }
}

/** All points by position: position × 2^16 + node, which a double holds exactly. */
function packedPoints(members: readonly RingMember[]): Float64Array {
  const packed = new Float64Array(members.length * POINTS_PER_NODE);
  members.forEach(({ nodeId }, node) => {
    const low = hashText(nodeId, SEED_NODE_LOW);
    const high = hashText(nodeId, SEED_NODE_HIGH);
    for (let point = 0; point < POINTS_PER_NODE; point += 1) {
      const position = wordOf(low, high, point);
      packed[node * POINTS_PER_NODE + point] = position * (NODES_MAX + 1) + node;
    }
  });
  return packed.sort();
}

function startsOf(positions: Uint32Array, bits: number): Uint32Array {
  const starts = new Uint32Array(2 ** bits);
  const width = CIRCLE / starts.length;
  let at = 0;
  for (let bucket = 0; bucket < starts.length; bucket += 1) {
    while (at < positions.length && (positions[at] as number) < bucket * width) at += 1;
    starts[bucket] = at;
  }
  return starts;
}
