import { blockIdOf } from '../../src/block/block-key.ts';
import type { Violation } from '../checks/violation.ts';
import type { Cluster } from '../node/cluster.ts';
import type { Scenario } from '../scenario/scenario.ts';

const PARALLEL = 8;

/**
 * The first node that runs warms up the whole volume for the group; all blocks must be kept.
 *
 * @param scenario - what says whether there is room for all of them
 */
export async function warmVolume(
  cluster: Cluster,
  scenario: Scenario,
  violations: Violation[],
): Promise<void> {
  const process = cluster.up[0]?.process;
  if (process === undefined) return;
  const signal = new AbortController().signal;
  const run = process.group.warm({ parallel: PARALLEL, signal });
  let kept = 0;
  for (const key of cluster.volume.keys) {
    await run.add(key, (outcome, error) => {
      kept += 1;
      // Who is told to end in the middle of it says of the rest that it failed.
      if (outcome !== 'failed' || !process.isReady || !hasRoom(cluster, scenario)) return;
      const text = `block ${blockIdOf(key)} was not warmed up: ${error ?? 'no reason given'}`;
      violations.push({ check: 'warming up keeps all blocks', text });
    });
  }
  // The node that asks may die, and its run with it.
  const outcome = await Promise.race([
    run.finish().then(() => 'done' as const),
    process.gone.then(() => 'gone' as const),
  ]);
  cluster.world.trace.note('warm-up', outcome, kept);
}

/** Whether any one node could keep the whole volume: on its disk if that is well, or in memory. */
function hasRoom({ volume }: Cluster, { settings, faults }: Scenario): boolean {
  const volumeBytes = volume.keys.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const diskBytes = faults.some(({ kind }) => kind === 'disk') ? 0 : settings.diskBytes;
  return Math.max(settings.memoryBytes, diskBytes) / 2 > volumeBytes;
}
