import { fileURLToPath } from 'node:url';
import { runProgram } from './program.ts';

const FILES_PY = fileURLToPath(new URL('files.py', import.meta.url));

/** What reading all files gives. */
export interface CheckResult {
  readonly bigBytes: number;
  readonly bigDigest: string;
  readonly smallFiles: number;
  readonly smallBytes: number;
  readonly smallDigest: string;
}

/** One measured reading of files. */
export interface Pass {
  readonly seconds: number;
  readonly operations: number;
  readonly bytes: number;
}

/** What python3 really is: a version manager's wrapper would cost 100 ms of CPU per start. */
let interpreter: Promise<string> | undefined;

const MAKE_TIMEOUT_MS = 300_000;
const READ_TIMEOUT_MS = 300_000;
/** Readers at once while a cache is filled. */
const CHECK_PROCESSES = 8;

async function files(
  args: readonly (string | number)[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<unknown> {
  interpreter ??= runProgram(['python3', '-c', 'import sys; print(sys.executable, end="")'], {
    timeoutMs,
    signal,
  });
  const program = await interpreter;
  const output = await runProgram([program, FILES_PY, ...args.map(String)], { timeoutMs, signal });
  return JSON.parse(output);
}

/** Writes the files of the bench and gives what reading them must give. */
export async function makeFiles(
  folder: string,
  content: { bigBytes: number; smallFiles: number; seed: number; signal: AbortSignal },
): Promise<CheckResult> {
  const { bigBytes, smallFiles, seed, signal } = content;
  const made = await files(['make', folder, bigBytes, smallFiles, seed], MAKE_TIMEOUT_MS, signal);
  return made as CheckResult;
}

/** Reads all files. */
export async function checkFiles(folder: string, signal: AbortSignal): Promise<CheckResult> {
  const found = await files(['check', folder, CHECK_PROCESSES], READ_TIMEOUT_MS, signal);
  return found as CheckResult;
}

/**
 * Reads small files.
 *
 * @param numbers - of the mode: processes and seed, or how many files @see files.py
 */
export async function readPass(
  mode: 'epoch' | 'stat' | 'open',
  folder: string,
  numbers: readonly number[],
  signal: AbortSignal,
): Promise<Pass> {
  return (await files([mode, folder, ...numbers], READ_TIMEOUT_MS, signal)) as Pass;
}
