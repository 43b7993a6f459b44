import { getBytesServed } from '../test/servers/rgw.ts';
import { type Column, COLUMNS } from './columns.ts';
import { type Measurement, measure, type OriginCount } from './measurement.ts';
import type { Mounted } from './mounts.ts';
import type { BenchOptions } from './options.ts';
import { type Row, ROWS } from './rows.ts';
import { onStage, type Stage } from './stage.ts';
import { fileVolume, gatewayVolume, type Volume, warmAndCheck } from './volume.ts';

/** What is measured and where results go. */
export interface BenchPlan {
  readonly options: BenchOptions;
  /** Programs that are there. */
  readonly has: { readonly gateway: boolean; readonly torch: boolean };
  readonly signal: AbortSignal;
  /** Called with each measurement as soon as it is made. */
  readonly onMeasured: (measurement: Measurement) => void;
  /** Says what goes on. */
  readonly say: (text: string) => void;
}

/** Rows and columns that the command line picks. */
export function chosen<T extends { readonly id: string }>(
  all: readonly T[],
  ids: readonly string[] | undefined,
): readonly T[] {
  return ids === undefined ? all : all.filter(({ id }) => ids.includes(id));
}

/** Measures warm and cold columns, one after the other, and takes everything down. */
export async function runBench(plan: BenchPlan): Promise<void> {
  const { options, has, say } = plan;
  const columns = chosen(COLUMNS, options.columns);
  const rows = chosen(ROWS, options.rows).filter(
    ({ onDemand }) => onDemand !== true || (options.rows !== undefined && has.torch),
  );
  const of = (caches: 'warm' | 'cold') => ({
    columns: columns.filter((column) => column.caches === caches),
    rows: rows.filter((row) => row.caches === caches),
  });
  const warm = of('warm');
  const cold = of('cold');
  if (warm.columns.length > 0 && warm.rows.length > 0) {
    await onStage((stage) => runWarm(plan, stage, warm));
  }
  if (cold.columns.length === 0 || cold.rows.length === 0) return;
  if (!has.gateway) return say('no radosgw here: cold rows are skipped');
  await onStage((stage) => runCold(plan, stage, cold));
}

interface Selection {
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

async function runWarm(plan: BenchPlan, stage: Stage, { columns, rows }: Selection): Promise<void> {
  const { options, signal, say } = plan;
  const { bigBytes, smallFiles, rounds } = options.size;
  say('writing the volume');
  const torch = rows.some(({ onDemand }) => onDemand === true);
  const volume = await fileVolume(stage, { name: 'warm', bigBytes, smallFiles, torch }, signal);
  const mounts = new Map<Column, Mounted>();
  for (const column of columns) {
    say(`mounting and warming ${column.title}`);
    const { cachemesh } = options;
    try {
      const mounted = await column.mount({ volume, cachemesh, stage, signal });
      await warmAndCheck(mounted.path, volume, signal);
      mounts.set(column, mounted);
    } catch (error) {
      failColumn(plan, column, error);
    }
  }
  for (let round = 1; round <= rounds; round += 1) {
    for (const [column, mounted] of rotated([...mounts], round)) {
      say(`round ${round} of ${rounds}: ${column.title}`);
      await measureRows(plan, { column, round, mounted, volume }, rows);
    }
  }
}

async function runCold(plan: BenchPlan, stage: Stage, { columns, rows }: Selection): Promise<void> {
  const { options, signal, say } = plan;
  const { coldBigBytes, coldSmallFiles, coldRounds } = options.size;
  say('starting the object gateway and writing the volume');
  const torch = rows.some(({ onDemand }) => onDemand === true);
  const content = { name: 'cold', bigBytes: coldBigBytes, smallFiles: coldSmallFiles, torch };
  const volume = await gatewayVolume(stage, content, signal);
  const { rgw } = volume;
  const origin: OriginCount | undefined =
    rgw === undefined ? undefined : () => getBytesServed(rgw, `${volume.name}/`);
  const { cachemesh } = options;
  const ready: Column[] = [];
  for (const column of columns) {
    try {
      await column.prepare?.({ volume, cachemesh, stage, signal });
      ready.push(column);
    } catch (error) {
      failColumn(plan, column, error);
    }
  }
  for (let round = 1; round <= coldRounds; round += 1) {
    for (const column of rotated(ready, round)) {
      say(`cold round ${round} of ${coldRounds}: ${column.title}`);
      await onStage(async (night) => {
        try {
          const mounted = await column.mount({ volume, cachemesh, stage: night, signal });
          await measureRows(plan, { column, round, mounted, volume, origin }, rows);
        } catch (error) {
          failColumn(plan, column, error);
        }
      });
    }
  }
}

async function measureRows(
  plan: BenchPlan,
  where: {
    readonly column: Column;
    readonly round: number;
    readonly mounted: Mounted;
    readonly volume: Volume;
    readonly origin?: OriginCount | undefined;
  },
  rows: readonly Row[],
): Promise<void> {
  const { size } = plan.options;
  const { bigBytes, smallFiles } = where.volume;
  for (const row of rows) {
    const context = { bigBytes, smallFiles, size, seed: where.round, signal: plan.signal };
    try {
      plan.onMeasured(await measure(row, where, context));
    } catch (error) {
      plan.signal.throwIfAborted();
      plan.say(`${where.column.title}, ${row.title}: FAILED: ${String(error)}`);
    }
  }
}

/** A column that does not work must not take the others' results away. */
function failColumn({ signal, say }: BenchPlan, column: Column, error: unknown): void {
  signal.throwIfAborted();
  say(`${column.title}: FAILED: ${String(error)}`);
}

/** Each round begins with another column, so that none always has the same neighbour in time. */
function rotated<T>(items: readonly T[], round: number): T[] {
  const start = items.length === 0 ? 0 : (round - 1) % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
