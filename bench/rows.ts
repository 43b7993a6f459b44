import { join } from 'node:path';
import { readPass } from './file-reader.ts';
import { type FioJob, type FioResult, runFio } from './fio.ts';
import type { Pass } from './file-reader.ts';
import type { BenchSize } from './options.ts';
import { importTorch } from './torch-package.ts';

/** Where and how much a row reads. */
export interface RowContext {
  readonly path: string;
  readonly bigBytes: number;
  readonly smallFiles: number;
  readonly size: BenchSize;
  /** Of the round, so that all columns read in the same random order. */
  readonly seed: number;
  readonly signal: AbortSignal;
}

/** One kind of work. */
export interface Row {
  readonly id: string;
  readonly title: string;
  readonly unit: 'MB/s' | 'reads/s' | 'files/s' | 'imports/min';
  /** Read on warm mounts, or on mounts that have nothing yet. */
  readonly caches: 'warm' | 'cold';
  /** Takes minutes, or wants a large package: measured only when it is named (`--rows`). */
  readonly onDemand?: boolean;
  run(context: RowContext): Promise<Pass & Partial<FioResult>>;
}

const MIB = 1024 * 1024;
const EPOCH_PROCESSES = 4;

const sequential = (direct: boolean): FioJob => ({
  ...{ pattern: 'read', blockBytes: MIB, direct, jobs: 1, runSeconds: undefined },
});

const bigFile =
  (job: (size: BenchSize) => FioJob): Row['run'] =>
  ({ path, bigBytes, size, signal }) =>
    runFio({ path: join(path, 'big'), bytes: bigBytes }, job(size), signal);

const random =
  (direct: boolean, blockBytes: number, jobs: number) =>
  (size: BenchSize): FioJob => ({
    ...{ pattern: 'randread', blockBytes, direct, jobs, runSeconds: size.runSeconds },
  });

const epoch: Row['run'] = ({ path, seed, signal }) =>
  readPass('epoch', path, [EPOCH_PROCESSES, seed], signal);

const names =
  (mode: 'stat' | 'open'): Row['run'] =>
  ({ path, smallFiles, size, signal }) =>
    readPass(mode, path, [Math.min(size.statFiles, smallFiles)], signal);

/** All rows, in the order in which they are measured. */
export const ROWS: readonly Row[] = [
  {
    ...{ id: 'seq-buffered', title: 'sequential 1 MiB, buffered', unit: 'MB/s', caches: 'warm' },
    run: bigFile(() => sequential(false)),
  },
  {
    ...{ id: 'seq-direct', title: 'sequential 1 MiB, direct', unit: 'MB/s', caches: 'warm' },
    run: bigFile(() => sequential(true)),
  },
  {
    ...{ id: 'rand4k-direct', title: '4K random, direct, QD1', unit: 'reads/s', caches: 'warm' },
    run: bigFile(random(true, 4096, 1)),
  },
  {
    ...{ id: 'rand4k-buffered', title: '4K random, buffered', unit: 'reads/s', caches: 'warm' },
    run: bigFile(random(false, 4096, 1)),
  },
  {
    ...{ id: 'rand128k', title: '128K random × 4, direct', unit: 'MB/s', caches: 'warm' },
    run: bigFile(random(true, 128 * 1024, 4)),
  },
  {
    ...{ id: 'epoch', title: 'epoch, small files, 4 readers', unit: 'files/s', caches: 'warm' },
    run: epoch,
  },
  {
    ...{ id: 'stat', title: 'stat of known files', unit: 'files/s', caches: 'warm' },
    run: names('stat'),
  },
  {
    ...{ id: 'open', title: 'open + close of known files', unit: 'files/s', caches: 'warm' },
    run: names('open'),
  },
  {
    ...{ id: 'cold-seq', title: 'cold: sequential 1 MiB', unit: 'MB/s', caches: 'cold' },
    run: bigFile(() => sequential(false)),
  },
  {
    ...{ id: 'cold-epoch', title: 'cold: epoch, small files', unit: 'files/s', caches: 'cold' },
    run: epoch,
  },
  {
    ...{ id: 'torch', title: 'import torch', unit: 'imports/min', caches: 'warm' },
    ...{ onDemand: true, run: ({ path, signal }) => importTorch(path, signal) },
  },
  {
    ...{ id: 'cold-torch', title: 'cold: import torch', unit: 'imports/min', caches: 'cold' },
    ...{ onDemand: true, run: ({ path, signal }) => importTorch(path, signal) },
  },
];

/** A pass in the row's unit; more is better. */
export function valueOf(row: Row, pass: Pass): number {
  if (row.unit === 'imports/min') return (60 * pass.operations) / pass.seconds;
  const amount = row.unit === 'MB/s' ? pass.bytes / 1e6 : pass.operations;
  return amount / pass.seconds;
}
