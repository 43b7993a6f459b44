import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Pass } from './file-reader.ts';
import { runProgram } from './program.ts';

const PROGRAM = fileURLToPath(new URL('import_torch.py', import.meta.url));
/** Debian's own interpreter: the package is built for that one. */
const PYTHON = '/usr/bin/python3';
const PACKAGE = '/usr/lib/python3/dist-packages/torch';
const TIMEOUT_MS = 300_000;

/** What reading the package gives. */
export interface TorchCheck {
  readonly torchFiles: number;
  readonly torchBytes: number;
  readonly torchDigest: string;
}

/** Whether Debian's python3-torch is installed. */
export function hasTorch(): boolean {
  return existsSync(PYTHON) && existsSync(PACKAGE);
}

/** Copies the package into a folder. @returns what {@link checkTorch} must find */
export async function makeTorch(folder: string, signal: AbortSignal): Promise<TorchCheck> {
  return (await run('make', folder, signal)) as TorchCheck;
}

/** Reads all of the package. */
export async function checkTorch(folder: string, signal: AbortSignal): Promise<TorchCheck> {
  return (await run('check', folder, signal)) as TorchCheck;
}

/** `import torch` from a folder, by a new interpreter. @throws Error when it came from elsewhere */
export async function importTorch(folder: string, signal: AbortSignal): Promise<Pass> {
  return (await run('import', folder, signal)) as Pass;
}

async function run(mode: string, folder: string, signal: AbortSignal): Promise<unknown> {
  const command = [PYTHON, PROGRAM, mode, folder] as const;
  return JSON.parse(await runProgram(command, { timeoutMs: TIMEOUT_MS, signal }));
}
