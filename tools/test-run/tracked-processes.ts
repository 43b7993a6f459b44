import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process of a test run. */
export interface TrackedProcess {
  readonly pid: number;
  /** Its command line with blanks between the words. */
  readonly command: string;
}

/**
 * Finds the processes that have a variable in their environment, which children inherit whatever
 * their parent does, or that work in a folder: servers like Redis write their title over their
 * environment. Zombies hold nothing and are left out.
 *
 * @param variable - `NAME=value`
 * @param folder - absolute
 */
export async function findProcesses(variable: string, folder: string): Promise<TrackedProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found: TrackedProcess[] = [];
  for (const pid of pids) {
    // A process may end between the listing and the reading; others' are not readable.
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    const worksIn = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    const isOurs =
      environment.split('\0').includes(variable) || `${worksIn}/`.startsWith(`${folder}/`);
    if (!isOurs) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    found.push({ pid: Number(pid), command: command.replaceAll('\0', ' ').trimEnd() });
  }
  return found;
}

/** Kills processes for good and gives them a moment to go. */
export async function killProcesses(processes: readonly TrackedProcess[]): Promise<void> {
  for (const { pid } of processes) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  if (processes.length > 0) await sleep(200);
}
