import { Worker } from 'node:worker_threads';
import type { ScaleRow } from './scale-picture.ts';

/** In a group of 4,000 each node knows each other one: 16 million records. */
const HEAP_MIB_MAX = 14_000;
/** Messages live for as long as many others take: with less they are copied again and again. */
const YOUNG_MIB_MAX = 192;

/**
 * Measures groups of these sizes, in a thread that may have as much memory as they need; tells of each
 * when it is done.
 *
 * @throws what the thread ends with
 */
export function measureScale(
  sizes: readonly number[],
  onRow: (row: ScaleRow) => void,
): Promise<ScaleRow[]> {
  const rows: ScaleRow[] = [];
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./scale-worker.ts', import.meta.url), {
      workerData: sizes,
      resourceLimits: {
        maxOldGenerationSizeMb: HEAP_MIB_MAX,
        maxYoungGenerationSizeMb: YOUNG_MIB_MAX,
      },
    });
    worker.on('message', (row: ScaleRow) => {
      rows.push(row);
      onRow(row);
    });
    worker.on('error', reject);
    worker.on('exit', () => resolve(rows));
  });
}
