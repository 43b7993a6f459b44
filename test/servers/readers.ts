import { type ChildProcess, spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { SyntheticFile } from './synthetic-volume.ts';

/** What a reader is to read. */
export interface ReadPlan {
  readonly mountpoint: string;
  readonly files: readonly SyntheticFile[];
  /** Bytes per read(2). */
  readonly readBytes: number;
  /** How often it reads all files. */
  readonly passes: number;
  /** Past the kernel's pages, so that each read asks the daemon. */
  readonly direct: boolean;
}

/** What a reader saw. */
export interface ReadResult {
  readonly bytes: number;
  readonly reads: number;
  /** Longest open(2) or read(2). */
  readonly slowestMs: number;
  /** A line for each read that gave other bytes than it should; not more than 50. */
  readonly wrong: readonly string[];
  /** A line for each file that could not be read to its end; not more than 50. */
  readonly errors: readonly string[];
}

/** A program that reads and compares. */
export interface Reader {
  /** What it saw, once it has ended. Rejects when it died. */
  readonly result: Promise<ReadResult>;
  /** Makes it end after the file at hand. */
  finish(): void;
}

const DEFAULTS = { readBytes: 2 ** 17, passes: 1, direct: false };
const PROGRAM = fileURLToPath(new URL('./reader-program.ts', import.meta.url));

/** Starts a reader; the files are read one after the other, each from its beginning to its end. */
export function startReader(
  plan: Pick<ReadPlan, 'mountpoint' | 'files'> & Partial<ReadPlan>,
): Reader {
  const child = spawn(process.execPath, [PROGRAM], { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] });
  child.stdin?.end(JSON.stringify({ ...DEFAULTS, ...plan } satisfies ReadPlan));
  return { result: resultOf(child), finish: () => child.connected && child.send('finish') };
}

/** Reads all files once and gives what was seen. */
export function readAll(
  mountpoint: string,
  files: readonly SyntheticFile[],
  options: Partial<ReadPlan> = {},
): Promise<ReadResult> {
  return startReader({ mountpoint, files, ...options }).result;
}

/** Bytes of all files together. */
export function totalBytes(files: readonly SyntheticFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

async function resultOf(child: ChildProcess): Promise<ReadResult> {
  if (child.stdout === null || child.stderr === null) throw new Error('no pipes');
  const [printed, complaint] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (printed !== '') return JSON.parse(printed) as ReadResult;
  throw new Error(`the reader died: ${complaint}`);
}
