import type { TestDaemon } from './daemons.ts';

/** Share of a dataset that the origin may send twice, when there were reasons for it. */
const TWICE_SHARE_MAX = 0.005;

/** What the nodes counted that makes the origin send bytes once more, all since they started. */
export interface SecondFetches {
  /** Asked of the origin past an owner that was silent, busy or suspected. */
  readonly astrayBytes: number;
  /** Blocks, or parts of them, brought with no room to keep them. */
  readonly uncached: number;
  /** Requests to the origin made again or twice, or ended before their last byte. */
  readonly repeated: number;
  /** Blocks that could not be kept on disk, so that memory may have lost them. */
  readonly dropped: number;
  /** Members that others took for gone: their blocks had another owner for a while. */
  readonly suspicions: number;
}

/** Sums what `nodes` counted. */
export async function secondFetches(nodes: readonly TestDaemon[]): Promise<SecondFetches> {
  const sum = async (name: string, label?: string) => {
    const counts = await Promise.all(nodes.map((node) => node.metric(`juicefs_${name}`, label)));
    return counts.reduce((total, count) => total + count, 0);
  };
  const aborted = 'role="origin",outcome="aborted"';
  return {
    astrayBytes: await sum('mesh_astray_bytes_total'),
    uncached: await sum('mesh_events_total', 'event="uncached"'),
    repeated:
      (await sum('object_request_retries')) +
      (await sum('object_request_hedges')) +
      (await sum('origin_block_retries')) +
      (await sum('mesh_source_requests_total', aborted)),
    dropped: await sum('blockcache_drops'),
    suspicions: await sum('remotecache_suspicions'),
  };
}

/**
 * The origin has sent each byte once, but for what the nodes' counters explain: on a machine that is
 * busy with other things a healthy owner may look silent, and is passed over as it should be.
 *
 * @param sent - bytes that the origin sent
 * @param expected - `bytes` that it had to send; `blockBytes` of the largest block; `datasetBytes` of
 *   which not more than 0.5 % (or one block) may come twice, whatever the reasons
 * @throws Error when more was sent
 */
export function expectSentOnce(
  sent: number,
  expected: { readonly bytes: number; readonly blockBytes: number; readonly datasetBytes: number },
  reasons: SecondFetches,
): void {
  const { bytes, blockBytes, datasetBytes } = expected;
  const { astrayBytes, uncached, repeated, dropped, suspicions } = reasons;
  const twice = sent - bytes;
  const most = Math.max(blockBytes, datasetBytes * TWICE_SHARE_MAX);
  const explained = astrayBytes + (uncached + repeated + dropped) * blockBytes;
  // Which blocks a suspected member owned is not counted.
  const allowed = suspicions > 0 ? most : Math.min(most, explained);
  if (twice >= 0 && twice <= allowed) return;
  throw new Error(`${twice} bytes came twice, ${allowed} could: ${JSON.stringify(reasons)}`);
}
