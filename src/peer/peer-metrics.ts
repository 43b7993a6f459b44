import type { Counter, Gauge, Histogram, Metrics } from '../runtime/metrics.ts';

/** Seconds; JuiceFS spreads its object request times likewise, 10 ms × 1.5^n. */
const SECONDS: readonly number[] = Array.from({ length: 25 }, (_, step) => 0.0005 * 1.6 ** step);

/** What the peers count. Names follow JuiceFS's `remotecache_*` of its own cache groups. */
export interface PeerMetrics {
  /** Blocks (or ranges) that others delivered to us. */
  readonly getBlocks: Counter;
  readonly getBytes: Counter;
  readonly getSeconds: Histogram;
  /** Requests of ours for one block (or range), or for many. */
  getRequests(kind: 'one' | 'many'): Counter;
  /** Requests of ours that failed, by {@link PeerErrorCode}, or `aborted`. */
  getErrors(reason: string): Counter;
  /** Blocks (or ranges) that we delivered to others. */
  readonly servedBlocks: Counter;
  readonly servedBytes: Counter;
  /** Requests of others that we could not fulfil, by reason. */
  servedErrors(reason: string): Counter;
  /** Bytes of ranges that are being served. */
  readonly servingBytes: Gauge;
  /** Connections that were closed before they proved who they are, by reason. */
  strangers(reason: string): Counter;
  /** Connections and requests refused because of a limit. */
  refusals(plane: string, limit: string): Counter;
  /** Control messages that were refused or made no sense, by reason. */
  controlErrors(reason: string): Counter;
  /** Members in the present view, ourselves included. */
  readonly members: Gauge;
  /** Times that a member was told of that was one too many. */
  readonly membersLeftOut: Counter;
  /** Times that a member was passed over because it failed. */
  readonly suspicions: Counter;
  /** Times that others took this node for gone and it said that it is there. */
  readonly objections: Counter;
  /** Looks at the source of members. */
  readonly discoveries: Counter;
  /** Looks in which the source of members did not answer. */
  readonly discoveryErrors: Counter;
}

/** The metrics of this layer in `metrics`. */
export function peerMetrics(metrics: Metrics): PeerMetrics {
  const counter = (name: string, help: string) => metrics.counter({ name, help });
  const byReason = (name: string, help: string) => (reason: string) =>
    metrics.counter({ name, help, labels: { reason } });
  return {
    getBlocks: counter('remotecache_get_blocks', 'Blocks read from other members.'),
    getBytes: counter('remotecache_get_bytes', 'Bytes read from other members.'),
    getSeconds: metrics.histogram({
      name: 'remotecache_get_durations_histogram_seconds',
      help: 'How long a read from another member takes.',
      buckets: SECONDS,
    }),
    getRequests: (kind) =>
      metrics.counter({
        name: 'remotecache_get_requests',
        help: 'Requests for blocks to other members, for one block or for many.',
        labels: { kind },
      }),
    getErrors: byReason('remotecache_get_errors', 'Failed reads from other members.'),
    servedBlocks: counter('remotecache_served_blocks', 'Blocks served to other members.'),
    servedBytes: counter('remotecache_served_bytes', 'Bytes served to other members.'),
    servedErrors: byReason('remotecache_served_errors', 'Requests of other members that failed.'),
    servingBytes: metrics.gauge({
      name: 'remotecache_serving_bytes',
      help: 'Bytes that are being served to other members.',
    }),
    strangers: byReason('remotecache_strangers', 'Connections closed before they proved who.'),
    refusals: (plane, limit) =>
      metrics.counter({
        name: 'remotecache_refusals',
        help: 'Connections and requests of others refused because a limit was reached.',
        labels: { plane, limit },
      }),
    controlErrors: byReason('remotecache_control_errors', 'Control messages refused.'),
    members: metrics.gauge({ name: 'remotecache_members', help: 'Members in the present view.' }),
    membersLeftOut: counter('remotecache_members_left_out', 'News of members beyond the bound.'),
    suspicions: counter('remotecache_suspicions', 'Times that a member was suspected.'),
    objections: counter('remotecache_objections', 'Times that this node objected to be gone.'),
    discoveries: counter('remotecache_discoveries', 'Looks for members in the metadata.'),
    discoveryErrors: counter('remotecache_discovery_errors', 'Rounds of discovery that failed.'),
  };
}
