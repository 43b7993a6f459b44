import type { Counter, Gauge, Metrics } from '../../runtime/metrics.ts';

/** JuiceFS's names for what waits to be uploaded, and ours for what went wrong with it. */
export interface StageMetrics {
  readonly blocks: Gauge;
  readonly bytes: Gauge;
  readonly writing: Gauge;
  readonly writeBytes: Counter;
  readonly errors: Counter;
  readonly delaySeconds: Counter;
  readonly uploads: Counter;
  readonly retries: Counter;
  readonly direct: Counter;
  readonly rescued: Counter;
  readonly damaged: Counter;
  readonly lost: Counter;
}

/** @returns the metrics of staged blocks */
export function stageMetrics(metrics: Metrics): StageMetrics {
  const counter = (name: string, help: string) =>
    metrics.counter({ name: `staging_${name}`, help });
  const gauge = (name: string, help: string) => metrics.gauge({ name: `staging_${name}`, help });
  return {
    blocks: gauge('blocks', 'Staged blocks that wait to be uploaded'),
    bytes: gauge('block_bytes', 'Bytes of staged blocks that wait to be uploaded'),
    writing: gauge('writing_blocks', 'Blocks that are being staged'),
    writeBytes: counter('write_bytes', 'Bytes of blocks that were staged'),
    errors: counter('block_errors', 'Blocks that could not be staged and were uploaded directly'),
    delaySeconds: counter('block_delay_seconds', 'Seconds that uploaded blocks were staged before'),
    uploads: counter('uploads', 'Staged blocks that were uploaded'),
    retries: counter('upload_retries', 'Uploads of staged blocks that failed and are tried again'),
    direct: counter('direct_blocks', 'Blocks uploaded directly as the disks were full or busy'),
    rescued: counter('rescued_blocks', 'Unreadable staged blocks that were uploaded from a cache'),
    damaged: counter('damaged_blocks', 'Staged blocks with wrong bytes, which were left in place'),
    lost: counter('lost_blocks', 'Staged blocks that vanished and are not in the object store'),
  };
}
