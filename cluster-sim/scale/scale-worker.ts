/** Measures groups of the sizes that it is started with, and posts a row for each. */
import { parentPort, workerData } from 'node:worker_threads';
import { GroupScaleRun } from './group-scale.ts';
import { JobStartRun } from './job-start.ts';
import { measureRing } from './ring-scale.ts';
import type { ScaleRow } from './scale-picture.ts';
import { WarmUpRun } from './warm-up-scale.ts';

const DATASET_BYTES = 10e9;
const SEED = 1;

for (const nodes of workerData as readonly number[]) {
  const row: ScaleRow = {
    nodes,
    ring: measureRing(nodes),
    group: await new GroupScaleRun(nodes, SEED).run(),
    warmUp: await new WarmUpRun(nodes, SEED).run(),
    job: await new JobStartRun(nodes, DATASET_BYTES, SEED).run(),
  };
  parentPort?.postMessage(row);
}
