/**
 * How fast a block comes from a peer, beside plain sockets between the same two processes:
 * `npm run bench:peer`. Both processes run on this machine, so they share its cores.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { OwnerCpu, OwnerReady, ReaderResult, ReaderTask, SideSettings } from './messages.ts';

const USAGE = `npm run bench:peer -- [options]
  --seconds N     of each measurement (default 1)
  --rounds N      of all rows, in turn (default 3)
  --rows ID,ID    only these
  --threads N,N   --peer-threads of the owner, each in processes of its own (default 0,1,2,4);
                  with threads only the rows that they change`;
/** 16 blocks of 4 MiB pass through the memory of both sides, not through their cache lines only. */
const SETTINGS = { blockBytes: 4 * 1024 * 1024, blocks: 16 };

/** In the order in which they are measured; a mesh row follows the raw one that it is held against. */
const ROWS = [
  { row: 'raw-block', concurrency: 1 },
  { row: 'raw-memory-block', concurrency: 1 },
  { row: 'raw-checked-block', concurrency: 1 },
  { row: 'mesh-block', concurrency: 1 },
  { row: 'raw-block', concurrency: 4 },
  { row: 'mesh-block', concurrency: 4 },
  { row: 'tls-raw-block', concurrency: 1 },
  { row: 'tls-raw-memory-block', concurrency: 1 },
  { row: 'tls-raw-checked-block', concurrency: 1 },
  { row: 'tls-mesh-block', concurrency: 1 },
  { row: 'tls-raw-block', concurrency: 4 },
  { row: 'tls-mesh-block', concurrency: 4 },
  { row: 'echo-range', concurrency: 1 },
  { row: 'raw-range', concurrency: 1 },
  { row: 'mesh-range', concurrency: 1 },
  { row: 'tls-raw-range', concurrency: 1 },
  { row: 'tls-mesh-range', concurrency: 1 },
  { row: 'raw-range', concurrency: 16 },
  { row: 'mesh-range', concurrency: 16 },
];

/** Those that are measured with threads, too. */
const THREAD_ROWS = ROWS.filter(
  ({ row, concurrency }) => row.includes('mesh-') && (concurrency > 1 || row.includes('block')),
);

/** What is promised of two rows of one run. */
const TARGETS = [
  { of: 'mesh-block × 1', to: 'raw-block × 1', what: 'speed', least: 0.9 },
  { of: 'mesh-block × 4', to: 'raw-block × 4', what: 'speed', least: 0.9 },
  { of: 'tls-mesh-block × 1', to: 'tls-raw-block × 1', what: 'speed', least: 0.9 },
  { of: 'tls-mesh-block × 4', to: 'tls-raw-block × 4', what: 'speed', least: 0.9 },
  { of: 'mesh-range × 1', to: 'echo-range × 1', what: 'p50', most: 3 },
  { of: 'mesh-range × 1', to: 'raw-range × 1', what: 'p50', most: 3 },
] as const;

interface Measured extends ReaderResult {
  readonly row: string;
  readonly ownerCpuSeconds: number;
  readonly ownerMainSeconds: number;
}

type Row = (typeof ROWS)[number];

/** An owner and a reader. */
interface Pair {
  readonly owner: ChildProcess;
  readonly reader: ChildProcess;
  readonly threads: number;
  readonly rows: readonly Row[];
}

function start(program: string, ...args: readonly unknown[]): ChildProcess {
  const path = fileURLToPath(new URL(program, import.meta.url));
  const texts = args.map((arg) => JSON.stringify(arg));
  return fork(path, texts, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

async function answer<T>(child: ChildProcess, question?: unknown): Promise<T> {
  const settled = new AbortController();
  const { signal } = settled;
  const heard = once(child, 'message', { signal }) as Promise<[T]>;
  const died = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`a side of the bench ended with ${code}`);
  });
  heard.catch(() => undefined);
  died.catch(() => undefined);
  if (question !== undefined) child.send(question as object);
  try {
    return (await Promise.race([heard, died]))[0];
  } finally {
    settled.abort();
  }
}

async function startPair(threads: number, rows: readonly Row[]): Promise<Pair> {
  const settings: SideSettings = { ...SETTINGS, threads };
  const owner = start('./owner.ts', settings);
  const ready = await answer<OwnerReady>(owner);
  const reader = start('./reader.ts', settings, ready);
  await answer<string>(reader);
  return { owner, reader, threads, rows };
}

async function measure({ owner, reader, threads }: Pair, task: ReaderTask): Promise<Measured> {
  const before = await answer<OwnerCpu>(owner, 'cpu');
  const result = await answer<ReaderResult>(reader, task);
  const after = await answer<OwnerCpu>(owner, 'cpu');
  const by = threads === 0 ? '' : `, ${threads} thread${threads === 1 ? '' : 's'}`;
  return {
    ...result,
    row: `${task.row} × ${task.concurrency}${by}`,
    ownerCpuSeconds: after.cpuSeconds - before.cpuSeconds,
    ownerMainSeconds: after.mainSeconds - before.mainSeconds,
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '3' },
      rows: { type: 'string' },
      threads: { type: 'string', default: '0,1,2,4' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return console.log(USAGE);
  const isWanted = ({ row }: Row) => values.rows?.split(',').includes(row) ?? true;
  const pairs: Pair[] = [];
  const measured: Measured[] = [];
  try {
    for (const threads of values.threads.split(',').map(Number)) {
      const rows = (threads === 0 ? ROWS : THREAD_ROWS).filter(isWanted);
      if (rows.length > 0) pairs.push(await startPair(threads, rows));
    }
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const pair of pairs) {
        for (const row of pair.rows) {
          measured.push(await measure(pair, { ...row, seconds: Number(values.seconds) }));
        }
      }
    }
  } finally {
    for (const { reader, owner } of pairs) {
      for (const side of [reader, owner]) if (side.connected) side.disconnect();
    }
  }
  report(measured);
  reportTargets(measured);
}

function report(measured: readonly Measured[]): void {
  for (const row of new Set(measured.map((each) => each.row))) {
    const own = measured.filter((each) => each.row === row);
    const middle = (value: (each: Measured) => number) =>
      own.map(value).sort((one, other) => one - other)[own.length >> 1] as number;
    const strays = own.reduce((sum, each) => sum + each.strays, 0);
    const perGb = (seconds: (each: Measured) => number) =>
      middle((each) => seconds(each) / (each.bytes / 1e9)).toFixed(3);
    console.log(
      row.padEnd(31),
      `${middle((each) => each.bytes / 1e6 / each.seconds).toFixed(0)} MB/s`.padStart(10),
      `p50 ${middle((each) => each.p50Us).toFixed(0)} µs`.padStart(14),
      `p99 ${middle((each) => each.p99Us).toFixed(0)} µs`.padStart(14),
      `  CPU s/GB: reader ${perGb((each) => each.cpuSeconds)}, owner ${perGb((each) => each.ownerCpuSeconds)} (main thread ${perGb((each) => each.ownerMainSeconds)})`,
      strays === 0 ? '' : `  ${strays} by the origin`,
    );
  }
}

/** Ratios within each round, so that what the machine does meanwhile meets both rows. */
function reportTargets(measured: readonly Measured[]): void {
  for (const { of, to, what, ...bound } of TARGETS) {
    const value = (each: Measured) => (what === 'speed' ? each.bytes / each.seconds : each.p50Us);
    const values = (row: string) => measured.filter((each) => each.row === row).map(value);
    const [own, other] = [values(of), values(to)];
    const ratios = own.map((each, round) => each / (other[round] ?? Number.NaN));
    ratios.sort((one, next) => one - next);
    const middle = ratios[ratios.length >> 1];
    if (middle === undefined || Number.isNaN(middle)) continue;
    const goal = 'least' in bound ? `≥ ${bound.least}` : `≤ ${bound.most}`;
    console.log(`${of} : ${to}, ${what} ${middle.toFixed(2)} (goal ${goal})`);
  }
}

await main();
