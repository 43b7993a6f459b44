import { spawn, spawnSync } from 'node:child_process';
import type { Clock } from '../../runtime/clock.ts';

const TIMEOUT_MS = 10_000;
/** More of a program's error output is not kept. */
const OUTPUT_CHARACTERS_MAX = 4096;
/** The helpers live in the system's folders; the environment of the daemon is not passed on. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** How a program ended. */
export interface ProgramResult {
  /** Undefined when it could not be started or was killed at the deadline. */
  readonly exitCode: number | undefined;
  /** What it wrote to standard error, or why it did not run. */
  readonly output: string;
}

/** Runs a system program to its end, for 10 seconds at most. */
export function runProgram(
  command: readonly string[],
  options: { clock: Clock; descriptor?: number; environment?: Record<string, string> },
): Promise<ProgramResult> {
  const [program, ...args] = command;
  return new Promise((resolve) => {
    const child = spawn(program as string, args, {
      env: { ...options.environment, PATH, LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'pipe', options.descriptor ?? 'ignore'],
    });
    let output = '';
    const finish = (exitCode: number | undefined, reason: string) => {
      timer.cancel();
      resolve({ exitCode, output: output.trim() || reason });
    };
    const timer = options.clock.setTimer(TIMEOUT_MS, () => {
      child.kill('SIGKILL');
      // Its end is not waited for: in an uninterruptible call it does not come.
      finish(undefined, `not done within ${TIMEOUT_MS} ms`);
      child.stderr?.destroy();
      child.unref();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(0, OUTPUT_CHARACTERS_MAX);
    });
    child.on('error', (error) => finish(undefined, error.message));
    child.on('close', (code, signal) => finish(code ?? undefined, `killed by ${signal}`));
  });
}

/** Runs a system program while everything else waits. @returns whether it succeeded */
export function runProgramNow(command: readonly string[]): boolean {
  const [program, ...args] = command;
  const env = { PATH, LC_ALL: 'C' };
  const options = { env, stdio: 'ignore', timeout: TIMEOUT_MS, killSignal: 'SIGKILL' } as const;
  return spawnSync(program as string, args, options).status === 0;
}
