import type { Pass } from './file-reader.ts';
import { runProgram } from './program.ts';

/** One fio measurement on the large file. */
export interface FioJob {
  readonly pattern: 'read' | 'randread';
  readonly blockBytes: number;
  readonly direct: boolean;
  readonly jobs: number;
  /** Undefined: the file is read once. */
  readonly runSeconds: number | undefined;
}

/** What fio found. */
export interface FioResult extends Pass {
  /** Half of the reads took at most so long. */
  readonly p50Us: number;
  readonly p99Us: number;
}

interface FioOutput {
  readonly jobs: readonly {
    readonly error: number;
    readonly read: {
      readonly io_bytes: number;
      readonly total_ios: number;
      /** Milliseconds. */
      readonly runtime: number;
      readonly clat_ns: { readonly percentile?: Readonly<Record<string, number>> };
    };
  }[];
}

const GRACE_MS = 120_000;

/** Runs fio with blocking pread calls. @throws Error when a read fails */
export async function runFio(
  file: { readonly path: string; readonly bytes: number },
  job: FioJob,
  signal: AbortSignal,
): Promise<FioResult> {
  const timed = job.runSeconds === undefined ? [] : ['--time_based', `--runtime=${job.runSeconds}`];
  const output = await runProgram(
    [
      ...(['fio', '--name=bench', '--readonly', '--ioengine=psync', '--thread=0'] as const),
      ...[`--filename=${file.path}`, `--size=${file.bytes}`, `--rw=${job.pattern}`],
      ...[`--bs=${job.blockBytes}`, `--direct=${job.direct ? 1 : 0}`, `--numjobs=${job.jobs}`],
      // The same order for each column, another one for each job.
      ...['--group_reporting', '--randrepeat=1', ...timed, '--output-format=json'],
    ],
    { timeoutMs: (job.runSeconds ?? 0) * 1000 + GRACE_MS, signal },
  );
  return resultOf(output);
}

function resultOf(output: string): FioResult {
  // Notes of fio may stand in front of its JSON.
  const found = (JSON.parse(output.slice(output.indexOf('{'))) as FioOutput).jobs[0];
  if (found === undefined || found.error !== 0) throw new Error(`fio failed: ${output}`);
  const { io_bytes: bytes, total_ios: operations, runtime, clat_ns: latency } = found.read;
  const percentile = (name: string) => (latency.percentile?.[name] ?? Number.NaN) / 1000;
  return {
    ...{ bytes, operations, seconds: runtime / 1000 },
    ...{ p50Us: percentile('50.000000'), p99Us: percentile('99.000000') },
  };
}
