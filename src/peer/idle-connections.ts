import type { Connection } from '@libp2p/interface';
import type { Clock } from '../runtime/clock.ts';

/** A connection is not closed before it is so old: who opened it is about to use it. */
const AGE_LEAST_MS = 10_000;
/** Closed at once beyond the bound, so that the next ones need not. */
const SLACK = 32;

/**
 * Which control connections to close when there are more than `keptMax`: the oldest that nobody uses.
 * In a group of thousands members come to have talked with all others; each connection holds about
 * 100 KB, and a new one costs a handshake.
 */
export function idleConnections(
  connections: readonly Connection[],
  keptMax: number,
  clock: Clock,
): readonly Connection[] {
  if (connections.length <= keptMax) return [];
  const limitMs = clock.wallMs() - AGE_LEAST_MS;
  return connections
    .filter(({ streams, timeline }) => streams.length === 0 && timeline.open < limitMs)
    .sort((a, b) => a.timeline.open - b.timeline.open)
    .slice(0, connections.length - keptMax + SLACK);
}
