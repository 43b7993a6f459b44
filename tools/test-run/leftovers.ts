import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { forceUnmount, type Mount, readMounts } from './mounts.ts';
import { findProcesses, killProcesses, type TrackedProcess } from './tracked-processes.ts';

/** What children inherit, so that they can be found again. */
export const RUN_ID_VARIABLE = 'CACHEMESH_TEST_RUN';

/** Ending programs may need a moment after the last test. */
const GRACE_MS = 3000;

/** Looks for what a test run leaves behind, and removes it. */
export interface LeftoverWatch {
  /**
   * Kills, unmounts and removes whatever is left of the run.
   *
   * @returns a line for each thing that should not have been there
   */
  cleanUp(): Promise<string[]>;
}

/**
 * Remembers the present state, to tell it from what the run adds.
 *
 * @param runId - value of the variable that children inherit, and part of the temp folder's name
 */
export async function watchLeftovers(runId: string): Promise<LeftoverWatch> {
  const dir = join(tmpdir(), `cachemesh-${runId}`);
  const mountsBefore = new Set((await readMounts()).map(mountName));
  const isOurs = (mount: Mount): boolean =>
    `${mount.mountPoint}/`.startsWith(`${dir}/`) ||
    (/cachemesh/.test(`${mount.fsType} ${mount.source}`) &&
      !mountsBefore.has(mountName(mount)) &&
      // The folder of a run that goes on beside this one.
      !mount.mountPoint.startsWith(join(tmpdir(), 'cachemesh-')));
  const ourMounts = async () => (await readMounts()).filter(isOurs);

  return {
    cleanUp: async () => {
      const processes = await remainingProcesses(`${RUN_ID_VARIABLE}=${runId}`, dir);
      const mounts = await ourMounts();
      const found = [
        ...processes.map(({ pid, command }) => `process ${pid}: ${command}`),
        ...mounts.map((mount) => `mount: ${mountName(mount)}`),
        ...(existsSync(dir) ? [`folder: ${dir}`] : []),
      ];
      await killProcesses(processes);
      // The last one first: mounts may lie on mounts.
      for (const mount of mounts.toReversed()) await forceUnmount(mount);
      // Removing would go into a mounted volume.
      if ((await ourMounts()).length === 0) await rm(dir, { recursive: true, force: true });
      return found;
    },
  };
}

const mountName = (mount: Mount): string =>
  `${mount.fsType} ${mount.source} on ${mount.mountPoint}`;

async function remainingProcesses(variable: string, dir: string): Promise<TrackedProcess[]> {
  const endMs = performance.now() + GRACE_MS;
  for (;;) {
    const processes = await findProcesses(variable, dir);
    if (processes.length === 0 || performance.now() > endMs) return processes;
    await sleep(100);
  }
}
