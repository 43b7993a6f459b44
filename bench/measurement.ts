import { writeFileSync } from 'node:fs';
import type { Column } from './columns.ts';
import type { Pass } from './file-reader.ts';
import type { FioResult } from './fio.ts';
import type { Mounted } from './mounts.ts';
import { type Row, type RowContext, valueOf } from './rows.ts';

/** One row on one column in one round. */
export interface Measurement extends Pass, Partial<Pick<FioResult, 'p50Us' | 'p99Us'>> {
  readonly row: string;
  readonly column: string;
  readonly round: number;
  /** In the row's unit; more is better. */
  readonly value: number;
  /** What the daemon used for it, all its processes and threads. */
  readonly daemonCpuSeconds: number;
  /** After it. */
  readonly daemonRssBytes: number;
  /** What the origin's gateway sent meanwhile; cold columns only. */
  readonly originBytes?: number;
  readonly originRequests?: number;
}

/** Bytes and requests that the origin has served so far. */
export type OriginCount = () => Promise<{ readonly bytes: number; readonly requests: number }>;

let told = false;

/** Empties the kernel's caches, which is only possible for root. */
export function dropCaches(): boolean {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3\n');
    return true;
  } catch {
    if (!told) console.error('bench: not root, so the page cache is NOT dropped before each row');
    told = true;
    return false;
  }
}

/** Measures one row on one mount, with empty kernel caches. */
export async function measure(
  row: Row,
  where: { column: Column; round: number; mounted: Mounted; origin?: OriginCount | undefined },
  context: Omit<RowContext, 'path'>,
): Promise<Measurement> {
  const { column, round, mounted, origin } = where;
  const servedBefore = await origin?.();
  dropCaches();
  const before = mounted.usage();
  const pass = await row.run({ ...context, path: mounted.path });
  const after = mounted.usage();
  const served = await origin?.();
  return {
    ...{ row: row.id, column: column.id, round, value: valueOf(row, pass), ...pass },
    daemonCpuSeconds: after.cpuSeconds - before.cpuSeconds,
    daemonRssBytes: after.rssBytes,
    ...(served === undefined || servedBefore === undefined
      ? {}
      : {
          originBytes: served.bytes - servedBefore.bytes,
          originRequests: served.requests - servedBefore.requests,
        }),
  };
}
