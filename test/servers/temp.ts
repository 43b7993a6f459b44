import { chmodSync, mkdirSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Names this test run. Every process that tests start inherits the variable, so that what is left
 * behind can be found in /proc and told apart from other runs on the machine.
 */
export const RUN_ID_VARIABLE = 'CACHEMESH_TEST_RUN';

/** The id of this run; set by the test command or by the vitest configuration. */
export function runId(): string {
  return (process.env[RUN_ID_VARIABLE] ??= `pid${process.pid}`);
}

/** The one folder that holds all files of this run. It is made if need be. */
export function runDir(): string {
  const dir = join(tmpdir(), `cachemesh-${runId()}`);
  mkdirSync(dir, { recursive: true });
  // Mounts below it are also read by other users than the one that runs the tests.
  chmodSync(dir, 0o755);
  return dir;
}

/**
 * Makes an empty folder of its own. The whole run's folder is removed at the end of the run, so a
 * test need not remove it.
 *
 * @param name - first part of the folder's name, to recognise it; keep it short, a Unix socket's
 *   path must not be longer than 107 bytes
 */
export async function makeTempDir(name: string): Promise<string> {
  const dir = await mkdtemp(join(runDir(), `${name}-`));
  await chmod(dir, 0o755);
  return dir;
}

/**
 * Removes the folder of this run with everything in it. While something is mounted below it, it is
 * left alone: removing would go into the mounted volume.
 */
export async function removeRunDir(): Promise<void> {
  const dir = join(tmpdir(), `cachemesh-${runId()}`);
  const mounts = await readFile('/proc/self/mounts', 'utf8').catch(() => '');
  if (mounts.includes(` ${dir}/`)) return;
  await rm(dir, { recursive: true, force: true });
}
