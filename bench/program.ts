import { spawn } from 'node:child_process';

/** How to run a program. */
export interface ProgramOptions {
  readonly timeoutMs: number;
  /** Ends the program. */
  readonly signal: AbortSignal;
  readonly cwd?: string;
}

/**
 * Runs a program to its end.
 *
 * @returns what it printed to standard output
 * @throws Error with what it said when it fails, takes longer than `timeoutMs` or is aborted
 */
export function runProgram(
  command: readonly [string, ...string[]],
  { timeoutMs, signal, cwd }: ProgramOptions,
): Promise<string> {
  const [program, ...args] = command;
  signal.throwIfAborted();
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C reaches the bench alone, which then ends everything in order.
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
  });
  let output = '';
  let complaint = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  let why = '';
  const kill = (reason: string) => {
    why = reason;
    // The whole group: fio and the readers have children.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  const timer = setTimeout(() => kill(`took longer than ${timeoutMs} ms`), timeoutMs);
  const onAbort = () => kill('was interrupted');
  signal.addEventListener('abort', onAbort, { once: true });
  return new Promise((resolve, reject) => {
    const done = (error?: Error) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      if (error === undefined) resolve(output);
      else reject(error);
    };
    child.once('error', (cause) => done(new Error(`cannot start ${program}`, { cause })));
    child.once('close', (code) => {
      if (code === 0) return done();
      const reason = why || `ended with ${code}`;
      done(new Error(`${command.join(' ')} ${reason}: ${complaint.slice(-2000)}`));
    });
  });
}

/** Finds a program on the PATH. */
export async function findProgram(name: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const found = await runProgram(['sh', '-c', `command -v ${name}`], { timeoutMs: 5000, signal });
    return found.trim();
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
