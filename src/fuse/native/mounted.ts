import { readFile, stat } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Unmounting is asked for once; a program that hangs is killed. */
const PROGRAM_TIMEOUT_MS = 10_000;

/**
 * Names what is mounted at a folder, so that one can tell whether it still is: the device number
 * of the topmost mount there. On Linux the file system itself is not asked: it may hang.
 *
 * @param mountpoint - absolute, without symbolic links
 * @returns undefined when nothing is mounted there
 */
export async function mountedDevice(mountpoint: string): Promise<string | undefined> {
  if (process.platform !== 'linux') return String((await stat(mountpoint)).dev);
  return deviceIn(await readFile('/proc/self/mountinfo', 'utf8'), mountpoint);
}

/**
 * Finds the topmost mount of a folder.
 *
 * @param mountinfo - lines `id parent major:minor root mountpoint …` @see proc_pid_mountinfo(5)
 */
export function deviceIn(mountinfo: string, mountpoint: string): string | undefined {
  const escaped = mountpoint.replaceAll(
    /[\\ \t\n]/g,
    (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
  const fields = mountinfo.split('\n').map((line) => line.split(' '));
  return fields.findLast((field) => field[4] === escaped)?.[2];
}

/**
 * Unmounts as a user can.
 *
 * @param lazy - also when it is in use: it vanishes from the tree now and ends with its last user
 * @throws Error with what the programs said
 */
export async function unmount(mountpoint: string, lazy: boolean): Promise<void> {
  const failures: string[] = [];
  for (const [program, ...args] of unmountCommands(lazy)) {
    try {
      await run(program, [...args, mountpoint], { timeout: PROGRAM_TIMEOUT_MS });
      return;
    } catch (error) {
      failures.push(error instanceof Error ? error.message.trim() : String(error));
    }
  }
  throw new Error(`cannot unmount ${mountpoint}: ${failures.join('; ')}`);
}

function unmountCommands(lazy: boolean): [string, ...string[]][] {
  if (process.platform === 'darwin') {
    return lazy ? [['diskutil', 'unmount', 'force']] : [['umount'], ['diskutil', 'unmount']];
  }
  const flags = lazy ? '-uz' : '-u';
  return [['fusermount', flags], ['fusermount3', flags], lazy ? ['umount', '-l'] : ['umount']];
}
