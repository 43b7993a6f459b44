import type { NodeId } from '../block/node-id.ts';
import { LatencyEstimate } from '../runtime/latency-estimate.ts';

/**
 * What a peer is timed at. `connect`: ticket and bulk connection; `sign`: from a request to the
 * first sign that the peer is at work (`working` frames come every 150 ms); `block`: from a request
 * to the first checked bytes of a block; `control`: a control message and its answer.
 */
export type LatencyKind = 'connect' | 'sign' | 'block' | 'control';

/** `up`: in the view; `suspected`: out of it until it answers again; `unknown`: no member. */
export type PeerState = 'up' | 'suspected' | 'unknown';

/** How peers are doing, from what this node has seen of each. */
export interface PeerHealth {
  state(node: NodeId): PeerState;
  /**
   * How long to wait for `kind` before the peer is taken to have failed: mean + 4 deviations of its
   * own latency, doubled after each loss, within the bounds of {@link DEADLINE_BOUNDS}.
   */
  deadlineMs(node: NodeId, kind: LatencyKind): number;
  /**
   * A quantile of the last 256 or so values, right within 20 %.
   *
   * @param quantile - 0 … 1
   * @returns undefined when nothing is known
   */
  quantileMs(node: NodeId, kind: LatencyKind, quantile: number): number | undefined;
  /** How many values the quantiles rest on, at most 256. */
  samples(node: NodeId, kind: LatencyKind): number;
}

interface Bounds {
  readonly leastMs: number;
  readonly mostMs: number;
  /** While nothing is known of the peer. */
  readonly unknownMs: number;
}

/**
 * Least: what a busy event loop or one lost packet (TCP resends after 200 ms) may cost a healthy
 * peer. Most: what a reader can be asked to wait before the next source is tried.
 */
export const DEADLINE_BOUNDS: Readonly<Record<LatencyKind, Bounds>> = {
  connect: { leastMs: 1000, mostMs: 4000, unknownMs: 1500 },
  sign: { leastMs: 600, mostMs: 3000, unknownMs: 1000 },
  block: { leastMs: 600, mostMs: 10_000, unknownMs: 5000 },
  control: { leastMs: 300, mostMs: 2000, unknownMs: 1500 },
};

/** Nodes that are remembered at most; the one heard of first goes. */
const NODES_MAX = 8192;

/** Keeps a {@link LatencyEstimate} for each peer and kind. Pure bookkeeping. */
export class HealthBook implements PeerHealth {
  readonly #nodes = new Map<NodeId, Map<LatencyKind, LatencyEstimate>>();
  #stateOf: (node: NodeId) => PeerState = () => 'unknown';

  /** Where states come from: the membership. */
  follow(stateOf: (node: NodeId) => PeerState): void {
    this.#stateOf = stateOf;
  }

  state(node: NodeId): PeerState {
    return this.#stateOf(node);
  }

  /** The peer answered after `latencyMs`. */
  observe(node: NodeId, kind: LatencyKind, latencyMs: number): void {
    this.#estimate(node, kind).observe(latencyMs);
  }

  /** The peer did not answer in time. */
  lose(node: NodeId, kind: LatencyKind): void {
    this.#estimate(node, kind).lose();
  }

  deadlineMs(node: NodeId, kind: LatencyKind): number {
    const { leastMs, mostMs, unknownMs } = DEADLINE_BOUNDS[kind];
    const estimate = this.#nodes.get(node)?.get(kind);
    if (estimate === undefined) return unknownMs;
    const own = estimate.timeoutMs() ?? unknownMs * estimate.backOff;
    return Math.min(mostMs, Math.max(leastMs * Math.min(estimate.backOff, 4), own));
  }

  quantileMs(node: NodeId, kind: LatencyKind, quantile: number): number | undefined {
    return this.#nodes.get(node)?.get(kind)?.quantileMs(quantile);
  }

  samples(node: NodeId, kind: LatencyKind): number {
    return this.#nodes.get(node)?.get(kind)?.count ?? 0;
  }

  /** The peer has left, or another process runs under its name. */
  forget(node: NodeId): void {
    this.#nodes.delete(node);
  }

  #estimate(node: NodeId, kind: LatencyKind): LatencyEstimate {
    let kinds = this.#nodes.get(node);
    if (kinds === undefined) {
      if (this.#nodes.size >= NODES_MAX) {
        const [oldest] = this.#nodes.keys();
        this.#nodes.delete(oldest as NodeId);
      }
      kinds = new Map();
      this.#nodes.set(node, kinds);
    }
    let estimate = kinds.get(kind);
    if (estimate === undefined) {
      estimate = new LatencyEstimate();
      kinds.set(kind, estimate);
    }
    return estimate;
  }
}
