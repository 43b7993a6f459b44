import { forceUnmount, readMounts } from '../../tools/test-run/mounts.ts';

/** Whether something is mounted exactly there. */
export async function isMounted(mountpoint: string): Promise<boolean> {
  return (await readMounts()).some(({ mountPoint }) => mountPoint === mountpoint);
}

/** Takes away what is mounted there, also when its daemon was killed. */
export async function detach(mountpoint: string): Promise<void> {
  const mounts = (await readMounts()).filter(({ mountPoint }) => mountPoint === mountpoint);
  for (const mount of mounts) await forceUnmount(mount);
}
