import { type Column, COLUMNS } from './columns.ts';
import type { Machine } from './machine.ts';
import type { Measurement } from './measurement.ts';
import { type Row, ROWS } from './rows.ts';
import { median, type Ratio, ratioOf } from './statistics.ts';

/** A row on a column, over all rounds. */
export interface Cell {
  readonly row: string;
  readonly column: string;
  readonly unit: string;
  readonly rounds: number;
  /** Medians over the rounds. */
  readonly value: number;
  readonly daemonCpuSecondsPerGb: number | undefined;
  readonly daemonCpuUsPerOperation: number;
  readonly p50Us: number | undefined;
  readonly daemonRssBytes: number;
  readonly originBytes: number | undefined;
  /** Over the reference column, by rounds; undefined for the reference itself. */
  readonly ratio: Ratio | undefined;
  readonly reference: string;
}

/** Everything that a run leaves behind. */
export interface BenchReport {
  readonly machine: Machine;
  readonly startedAt: string;
  readonly quick: boolean;
  readonly cells: readonly Cell[];
  readonly measurements: readonly Measurement[];
}

/** Medians and ratios of all rows and columns that were measured. */
export function cellsOf(measurements: readonly Measurement[]): Cell[] {
  const cells: Cell[] = [];
  for (const row of ROWS) {
    for (const column of COLUMNS) {
      const cell = cellOf(row, column, measurements);
      if (cell !== undefined) cells.push(cell);
    }
  }
  return cells;
}

function cellOf(row: Row, column: Column, all: readonly Measurement[]): Cell | undefined {
  const of = (id: string) =>
    all.filter((measured) => measured.row === row.id && measured.column === id);
  const own = of(column.id);
  const middle = (value: (measured: Measurement) => number | undefined) =>
    median(own.map(value).filter((number) => number !== undefined));
  const value = middle((measured) => measured.value);
  if (value === undefined) return undefined;
  const byRound = (list: readonly Measurement[]) =>
    new Map(list.map((measured) => [measured.round, measured.value]));
  return {
    ...{ row: row.id, column: column.id, unit: row.unit, rounds: own.length, value },
    daemonCpuSecondsPerGb: middle(({ daemonCpuSeconds, bytes }) =>
      bytes > 0 ? daemonCpuSeconds / (bytes / 1e9) : undefined,
    ),
    daemonCpuUsPerOperation:
      middle(({ daemonCpuSeconds, operations }) => (daemonCpuSeconds * 1e6) / operations) ?? 0,
    p50Us: middle(({ p50Us }) => p50Us),
    daemonRssBytes: Math.max(...own.map(({ daemonRssBytes }) => daemonRssBytes)),
    originBytes: middle(({ originBytes }) => originBytes),
    ratio:
      column.reference === column.id
        ? undefined
        : ratioOf(byRound(own), byRound(of(column.reference))),
    reference: column.reference,
  };
}

/** The tables of a report as text, in Markdown so that they can be copied. */
export function renderReport(report: BenchReport): string {
  const { machine, cells } = report;
  const gb = (machine.memoryBytes / 2 ** 30).toFixed(0);
  const parts = [
    `${machine.cpu}, ${machine.cores} cores, ${gb} GiB, ${machine.distribution}, Linux ${machine.kernel}, Node ${machine.node}, ${machine.juicefs}, ${machine.fio}`,
    `commit ${machine.commit}${machine.dirty ? ' with changes' : ''}, load before ${machine.loadBefore.toFixed(1)}${machine.memory === undefined ? '' : `, ${machine.memory}`}${report.quick ? ', QUICK run: too short to quote' : ''}`,
  ];
  for (const caches of ['warm', 'cold'] as const) {
    const columns = COLUMNS.filter(
      (column) => column.caches === caches && cells.some(({ column: id }) => id === column.id),
    );
    const rows = ROWS.filter((row) => row.caches === caches);
    if (columns.length === 0) continue;
    parts.push(table(cells, { rows, columns, show: speed, title: `${caches}: speed` }));
    parts.push(table(cells, { rows, columns, show: cpu, title: `${caches}: daemon CPU` }));
    parts.push(memory(cells, columns));
    if (caches === 'cold') {
      parts.push(table(cells, { rows, columns, show: origin, title: 'cold: sent by the origin' }));
    }
  }
  return parts.join('\n\n');
}

interface TableSpec {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column[];
  readonly show: (cell: Cell) => string;
}

function table(cells: readonly Cell[], { title, rows, columns, show }: TableSpec): string {
  const lines = rows.flatMap((row) => {
    const found = columns.map(({ id }) =>
      cells.find((cell) => cell.row === row.id && cell.column === id),
    );
    if (found.every((cell) => cell === undefined)) return [];
    return [[row.title, ...found.map((cell) => (cell === undefined ? '' : show(cell)))]];
  });
  return markdown([[title, ...columns.map((column) => column.title)], ...lines]);
}

function markdown(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, index) =>
    Math.max(...lines.map((line) => line[index]?.length ?? 0)),
  );
  const text = lines.map(
    (line) => `| ${line.map((word, index) => word.padEnd(widths[index] ?? 0)).join(' | ')} |`,
  );
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [text[0], rule, ...text.slice(1)].join('\n');
}

function speed({ value, unit, ratio }: Cell): string {
  const number = `${short(value)} ${unit}`;
  if (ratio === undefined) return number;
  const { median: middle, lowest, highest } = ratio;
  return `${number}, ${middle.toFixed(2)}× [${lowest.toFixed(2)}–${highest.toFixed(2)}]`;
}

function cpu({ daemonCpuSecondsPerGb, daemonCpuUsPerOperation, unit }: Cell): string {
  return unit === 'MB/s'
    ? `${(daemonCpuSecondsPerGb ?? 0).toFixed(2)} s/GB`
    : `${daemonCpuUsPerOperation.toFixed(1)} µs each`;
}

function origin({ originBytes }: Cell): string {
  return originBytes === undefined ? '' : `${(originBytes / 1e6).toFixed(1)} MB`;
}

function memory(cells: readonly Cell[], columns: readonly Column[]): string {
  const peaks = columns.map(({ id }) => {
    const own = cells.filter((cell) => cell.column === id);
    return `${(Math.max(...own.map((cell) => cell.daemonRssBytes)) / 2 ** 20).toFixed(0)} MiB`;
  });
  return markdown([
    ['daemon memory', ...columns.map((column) => column.title)],
    ['RSS, highest after a row', ...peaks],
  ]);
}

function short(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(1)}k`;
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}
