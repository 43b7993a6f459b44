/**
 * Compares cachemesh with `juicefs mount` on the same volume in one run: `npm run bench`.
 * See docs/performance.md.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeRunDir } from '../test/servers/temp.ts';
import { chosen, runBench } from './bench-run.ts';
import { COLUMNS } from './columns.ts';
import { keepGuestMemory } from './guest-memory.ts';
import { describeMachine, type Machine } from './machine.ts';
import type { Measurement } from './measurement.ts';
import { type BenchOptions, parseOptions, UsageError } from './options.ts';
import { findProgram } from './program.ts';
import { type BenchReport, cellsOf, renderReport } from './report.ts';
import { ROWS } from './rows.ts';
import { hasTorch } from './torch-package.ts';

const projectDir = fileURLToPath(new URL('../', import.meta.url));

/** Programs without which nothing can be measured, and what for. */
const NEEDED = {
  juicefs: 'writes the volume and is compared with (https://juicefs.com, a v1.4 binary)',
  'redis-server': 'keeps the metadata',
  fio: 'reads the large file',
  python3: 'reads the small files',
} as const;

async function missingPrograms(signal: AbortSignal): Promise<string[]> {
  const missing: string[] = [];
  for (const [name, purpose] of Object.entries(NEEDED)) {
    if ((await findProgram(name, signal)) === undefined) missing.push(`${name} ${purpose}`);
  }
  return missing;
}

/** Ends the run on Ctrl-C, on SIGTERM and at its time limit. */
function endOfRun(limitMs: number): AbortSignal {
  const ending = new AbortController();
  const end = (why: string) => ending.abort(new Error(why));
  process.on('SIGINT', () => end('interrupted'));
  process.on('SIGTERM', () => end('terminated'));
  setTimeout(() => end(`the run took longer than ${limitMs / 60_000} minutes`), limitMs).unref();
  return ending.signal;
}

function save(report: BenchReport): string {
  const dir = join(projectDir, 'bench-results');
  mkdirSync(dir, { recursive: true });
  const date = report.startedAt.slice(0, 16).replaceAll(':', '');
  const path = join(dir, `${date}-${report.machine.commit}.json`);
  writeFileSync(path, `${JSON.stringify(report, null, 1)}\n`);
  return path;
}

async function bench(options: BenchOptions): Promise<number> {
  const signal = endOfRun(options.size.limitMs);
  const missing = await missingPrograms(signal);
  if (missing.length > 0) {
    console.error(`bench: not on the PATH:\n  ${missing.join('\n  ')}`);
    return 1;
  }
  const described = await describeMachine(projectDir, signal);
  const startedAt = new Date().toISOString();
  const startedMs = performance.now();
  const say = (text: string) =>
    console.error(
      `bench ${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s  ${text}`,
    );
  const measurements: Measurement[] = [];
  const has = {
    gateway: (await findProgram('radosgw', signal)) !== undefined,
    torch: hasTorch(),
  };
  say('touching the memory of the machine');
  const memory = await keepGuestMemory(signal);
  const machine: Machine = { ...described, memory: memory?.remark };
  let code = 0;
  try {
    const onMeasured = (measured: Measurement) => void measurements.push(measured);
    await runBench({ options, has, signal, onMeasured, say });
  } catch (error) {
    say(`ended early: ${String(error)}`);
    code = 1;
  } finally {
    memory?.release();
    await removeRunDir();
  }
  tell({ machine, startedAt, quick: options.quick, measurements });
  return code;
}

function tell(run: {
  readonly machine: Machine;
  readonly startedAt: string;
  readonly quick: boolean;
  readonly measurements: readonly Measurement[];
}): void {
  if (run.measurements.length === 0) return;
  const report = { ...run, cells: cellsOf(run.measurements) };
  console.log(renderReport(report));
  console.log(`\nwritten to ${save(report)}`);
}

function list(options: BenchOptions): void {
  console.log('columns:');
  for (const { id, title } of chosen(COLUMNS, options.columns)) console.log(`  ${id}  ${title}`);
  console.log('rows:');
  for (const { id, title } of chosen(ROWS, options.rows)) console.log(`  ${id}  ${title}`);
}

try {
  const options = parseOptions(process.argv.slice(2), [
    process.execPath,
    join(projectDir, 'bin/cachemesh.js'),
  ]);
  if (options.list) list(options);
  else process.exitCode = await bench(options);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
