import { execFile } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { findMount } from './mount-table.ts';
import { UsageError } from './quantities.ts';

const UMOUNT_TIMEOUT_MS = 30_000;

/**
 * Unmounts a volume; its daemon then ends by itself.
 *
 * @param options - `force`: detach it even while files are open
 * @throws UsageError when nothing of ours is mounted there, or the system refuses
 */
export async function umount(mountpoint: string, options: { force: boolean }): Promise<void> {
  const given = path.resolve(mountpoint);
  // The last part is not looked at: a mount whose daemon is gone or hangs would not let us.
  const target = path.join(await realpath(path.dirname(given)), path.basename(given));
  const mount = await findMount(target);
  if (mount === undefined || mount.mountpoint !== target) {
    throw new UsageError(`${target}: no cachemesh volume is mounted here`);
  }
  const tool = process.getuid?.() === 0 ? 'umount' : 'fusermount3';
  const flags = tool === 'umount' ? [] : ['-u'];
  const detach = tool === 'umount' ? ['-l'] : ['-z'];
  const words = [...flags, ...(options.force ? detach : []), target];
  try {
    await promisify(execFile)(tool, words, { timeout: UMOUNT_TIMEOUT_MS });
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() ?? String(error);
    throw new UsageError(`${said}\n(files are open? --force detaches the mount all the same)`);
  }
}
