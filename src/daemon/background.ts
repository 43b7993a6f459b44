import { spawn } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../runtime/clock.ts';
import { UsageError } from './quantities.ts';

/** Set for the process that really mounts; it reports by IPC when it has. */
export const BACKGROUND_MARK = 'CACHEMESH_BACKGROUND';
const MOUNT_TIMEOUT_MS = 60_000;
/** Longer than stopping takes at most. */
const END_TIMEOUT_MS = 30_000;

/** What the process in the background says once: mounted, or why not. */
export interface BackgroundReport {
  readonly mounted: boolean;
  readonly message: string;
}

/**
 * Runs this same command line in the background and waits until it has mounted.
 *
 * @param log - file for whatever it prints; made when missing
 * @returns the process id
 * @throws UsageError with the reason when it does not come up
 */
export async function runInBackground(log: string): Promise<number> {
  await mkdir(path.dirname(log), { recursive: true });
  const output = await open(log, 'a');
  try {
    const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      detached: true,
      stdio: ['ignore', output.fd, output.fd, 'ipc'],
      env: { ...process.env, [BACKGROUND_MARK]: '1' },
    });
    const report = await reportOf(child, log);
    if (!report.mounted) throw new UsageError(`${report.message}\n(the log is ${log})`);
    child.disconnect();
    child.unref();
    return child.pid as number;
  } finally {
    await output.close();
  }
}

function reportOf(child: ReturnType<typeof spawn>, log: string): Promise<BackgroundReport> {
  return new Promise((resolve) => {
    const timer = systemClock.setTimer(MOUNT_TIMEOUT_MS, () => {
      // Killed at once it could leave a dead mount and its session behind.
      child.kill('SIGTERM');
      systemClock.setTimer(END_TIMEOUT_MS, () => child.kill('SIGKILL'));
      resolve({ mounted: false, message: `not mounted within ${MOUNT_TIMEOUT_MS / 1000} s` });
    });
    const settle = (report: BackgroundReport) => {
      timer.cancel();
      resolve(report);
    };
    child.once('message', (message) => settle(message as BackgroundReport));
    child.once('error', (error) => settle({ mounted: false, message: error.message }));
    child.once('exit', (code, signal) =>
      settle({ mounted: false, message: `it ended (${signal ?? code}), see ${log}` }),
    );
  });
}

/** Tells the waiting parent, if there is one. */
export function reportToParent(report: BackgroundReport): void {
  if (process.env[BACKGROUND_MARK] === undefined || process.send === undefined) return;
  process.send(report, undefined, undefined, () => {
    if (process.connected) process.disconnect();
  });
}
