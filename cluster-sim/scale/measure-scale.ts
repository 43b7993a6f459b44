import { GroupScaleRun } from './group-scale.ts';
import { JobStartRun } from './job-start.ts';
import { measureRing } from './ring-scale.ts';
import type { ScaleRow } from './scale-picture.ts';

const DATASET_BYTES = 10e9;
const SEED = 1;
/** Memberships of larger groups do not fit into one process: each node knows each other one. */
const GROUP_NODES_MAX = 1_000;

/** Measures groups of these sizes; tells of each when it is done. */
export async function measureScale(
  sizes: readonly number[],
  onRow: (row: ScaleRow) => void,
): Promise<ScaleRow[]> {
  const rows: ScaleRow[] = [];
  for (const nodes of sizes) {
    const isSmall = nodes <= GROUP_NODES_MAX;
    const row: ScaleRow = {
      nodes,
      ring: measureRing(nodes),
      group: isSmall ? await new GroupScaleRun(nodes, SEED).run() : undefined,
      job: await new JobStartRun(nodes, DATASET_BYTES, SEED).run(),
    };
    rows.push(row);
    onRow(row);
  }
  return rows;
}
