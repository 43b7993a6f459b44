import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { runId, RUN_ID_VARIABLE } from './temp.ts';

/** A program that a test keeps running. */
export interface ServerProcess {
  readonly pid: number;
  /** Everything it printed so far, both streams. */
  output(): string;
  /** The exit code, the signal's name, or undefined while it runs. */
  ended(): number | NodeJS.Signals | undefined;
  /** Resolves once the program has ended. */
  readonly end: Promise<void>;
  /**
   * Ends the program and waits for it; does nothing when it has ended already.
   *
   * @param signal - SIGTERM unless told; SIGKILL follows after graceMs
   */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<void>;
}

/** How to start a server. */
export interface ServerOptions {
  /** File that receives what the program prints. */
  readonly logPath: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const alive = new Set<ChildProcess>();

// A test file that dies half-way must not leave its servers to the next one.
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/**
 * Starts a program that stays in the foreground.
 *
 * @param command - program name followed by its arguments
 * @throws Error when the program cannot be started
 */
export async function startServer(
  command: readonly [string, ...string[]],
  options: ServerOptions,
): Promise<ServerProcess> {
  const child = await launch(command, options);
  const end = new Promise<void>((resolve) => {
    child.once('exit', () => {
      alive.delete(child);
      resolve();
    });
  });
  alive.add(child);
  const ended = () => child.exitCode ?? child.signalCode ?? undefined;
  return {
    pid: child.pid ?? 0,
    end,
    ended,
    output: () => readFileSync(options.logPath, 'utf8'),
    stop: async (signal = 'SIGTERM', graceMs = 10_000) => {
      if (ended() !== undefined) return;
      child.kill(signal);
      const gone = await Promise.race([
        end.then(() => true),
        sleep(graceMs, false, { ref: false }),
      ]);
      if (!gone) child.kill('SIGKILL');
      await end;
    },
  };
}

function launch(
  [program, ...args]: readonly [string, ...string[]],
  options: ServerOptions,
): Promise<ChildProcess> {
  const log = openSync(options.logPath, 'a');
  const child = spawn(program, args, {
    stdio: ['ignore', log, log],
    // A group of its own: Ctrl-C in the terminal ends the test run, which then stops servers in order.
    detached: true,
    env: { ...process.env, [RUN_ID_VARIABLE]: runId(), ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  closeSync(log);
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(child));
    child.once('error', (cause) => reject(new Error(`cannot start ${program}`, { cause })));
  });
}
