import type { NodeId } from '../block/node-id.ts';
import { lateAfterMs, type LateRule } from '../runtime/late-rule.ts';
import type { RouteStep } from './route-plan.ts';

/** How fast a peer usually is; the peers' health book knows. */
export interface PeerPace {
  /**
   * A quantile of a peer's latest latencies: of `block`, until the first bytes of a block came; of
   * `sign`, until it gave a first sign of being at work.
   *
   * @returns undefined when nothing is known
   */
  quantileMs(node: NodeId, kind: 'block' | 'sign', quantile: number): number | undefined;
}

/** Asking another holder beside a slow one costs the origin nothing, so it may come early. */
const SLOW: LateRule = { factor: 1, leastMs: 10, mostMs: 500 };
/**
 * Going past a peer may cost the origin a second fetch of the block. A peer that has to get a block
 * says so every 150 ms; two of these may come late. A healthy peer on a busy machine has been seen
 * silent for some hundred ms, which then is part of its own quantile.
 */
const SILENT: LateRule = { factor: 3, leastMs: 400, mostMs: 1_000 };
/**
 * Peers of which nothing is known, as when we have just begun: a connection and its proof on a busy machine
 * have their time, and a peer behind a cut cable does not add up with others to a second for a reader.
 */
const UNKNOWN_SILENT_MS = 600;

/** When a peer counts as slow: after its own p95, within 10 … 500 ms. */
export function slowMs(pace: PeerPace | undefined, step: RouteStep): number {
  if (step.kind !== 'peer') return Number.POSITIVE_INFINITY;
  return lateAfterMs(pace?.quantileMs(step.node, 'block', 0.95) ?? SLOW.mostMs, SLOW);
}

/** When a peer counts as silent: after three times its own p95, within 400 … 1,000 ms; an unknown one after 600. */
export function silentMs(pace: PeerPace | undefined, step: RouteStep): number {
  if (step.kind !== 'peer') return Number.POSITIVE_INFINITY;
  const usualMs = pace?.quantileMs(step.node, 'sign', 0.95);
  return usualMs === undefined ? UNKNOWN_SILENT_MS : lateAfterMs(usualMs, SILENT);
}
