import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { DAEMON_PROGRAM } from './daemon-program.ts';

/** What a program left behind when it ended. */
export interface Ended {
  /** Exit status, or the signal that ended it. */
  readonly status: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const TIMEOUT_MS = 60_000;

/** Runs the command line to its end: `runCli(['status', url])`. */
export function runCli(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return runToEnd([process.execPath, DAEMON_PROGRAM, ...words], { env });
}

/** Runs a program to its end; after a minute, or what is told, it is killed. */
export async function runToEnd(
  [program, ...args]: readonly [string, ...string[]],
  options: {
    readonly env?: Readonly<Record<string, string>>;
    readonly input?: string;
    readonly timeoutMs?: number;
  } = {},
): Promise<Ended> {
  const child = spawn(program, args, {
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs ?? TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<Ended['status']>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signal));
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const [status, stdout, stderr] = await Promise.all([
    ended,
    text(child.stdout),
    text(child.stderr),
  ]);
  return { status, stdout, stderr };
}
