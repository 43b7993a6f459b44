import { execFile } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '../runtime/clock.ts';
import { sleep } from '../runtime/deadline.ts';
import { byteText } from './byte-text.ts';
import { askDaemon } from './control-socket.ts';
import { findMount } from './mount-table.ts';
import { UsageError } from './quantities.ts';
import type { StagedLine } from './staging.ts';

const UMOUNT_TIMEOUT_MS = 30_000;
const LOOK_INTERVAL_MS = 200;
const LINE_INTERVAL_MS = 5_000;

/**
 * Unmounts a volume; its daemon then ends by itself.
 *
 * @param options - `force`: detach it even while files are open; `flush`: first wait until all that is
 *   staged is uploaded, however long that takes; nothing more is staged then
 * @throws UsageError when nothing of ours is mounted there, or the system refuses
 */
export async function umount(
  mountpoint: string,
  options: { force: boolean; flush: boolean },
): Promise<void> {
  const given = path.resolve(mountpoint);
  // The last part is not looked at: a mount whose daemon is gone or hangs would not let us.
  const target = path.join(await realpath(path.dirname(given)), path.basename(given));
  const mount = await findMount(target);
  if (mount === undefined || mount.mountpoint !== target) {
    throw new UsageError(`${target}: no cachemesh volume is mounted here`);
  }
  if (options.flush) await untilUploaded(target);
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

/**
 * Has the daemon upload what is staged, and waits for it.
 *
 * @throws UsageError when it does not answer, or a block cannot be uploaded
 */
async function untilUploaded(mountpoint: string): Promise<void> {
  // Our timers do not keep a process alive, and here nothing else does.
  const alive = new MessageChannel();
  alive.port1.ref();
  let nextLineMs = systemClock.nowMs();
  try {
    for (;;) {
      const answer = (await askDaemon(mountpoint, '/staged?hurry')) as StagedLine;
      const { blocks, bytes, aside } = answer;
      if (blocks === 0 && aside === 0) return;
      if (blocks === 0) {
        throw new UsageError(asideText(aside));
      }
      if (systemClock.nowMs() >= nextLineMs) {
        process.stdout.write(`${blocks} staged blocks (${byteText(bytes)}) are still to upload\n`);
        nextLineMs = systemClock.nowMs() + LINE_INTERVAL_MS;
      }
      await sleep(systemClock, LOOK_INTERVAL_MS);
    }
  } finally {
    alive.port1.close();
  }
}

function asideText(blocks: number): string {
  const what = blocks === 1 ? '1 staged block' : `${blocks} staged blocks`;
  const why = 'what was staged is damaged or has vanished, see the log';
  return `${what} cannot be uploaded: ${why}\n(without --flush the mount ends all the same)`;
}
