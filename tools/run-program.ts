import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The top folder of the project, with a trailing slash. */
export const projectDir: string = fileURLToPath(new URL('../', import.meta.url));

/** How long a program has to obey SIGTERM. */
const KILL_AFTER_MS = 15_000;

/** What a program printed and how it ended. */
export interface ProgramResult {
  /** Exit code; a killed program has none and gives 1. */
  readonly code: number;
  /** Standard output, empty when it was passed through. */
  readonly stdout: string;
  /** Standard error, empty when it was passed through. */
  readonly stderr: string;
}

/** How to run a program. */
export interface ProgramOptions {
  /** Show the output while it runs instead of collecting it. */
  readonly show?: boolean;
  /** Where to run it; the project folder unless told. */
  readonly cwd?: string;
  /** Variables added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Ends the program with SIGTERM, and with SIGKILL when it does not obey. */
  readonly signal?: AbortSignal;
}

/**
 * Runs a program in the project folder, with the project's own binaries (its Node too) first in
 * the path, so that a check does not depend on being started by npm.
 *
 * @param command - program name followed by its arguments
 * @throws when the program cannot be started at all
 */
export async function runProgram(
  command: readonly [string, ...string[]],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const [program, ...args] = command;
  const child = spawn(program, args, {
    cwd: options.cwd ?? projectDir,
    stdio: options.show ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PATH: `${projectDir}node_modules/.bin:${process.env['PATH'] ?? ''}`,
      ...options.env,
    },
  });
  const stop = (): void => {
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref();
  };
  options.signal?.addEventListener('abort', stop, { once: true });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      options.signal?.removeEventListener('abort', stop);
      resolve({ code: code ?? 1, stdout, stderr });
    });
  });
}
