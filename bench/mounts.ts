import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ServerProcess, startServer } from '../test/servers/server-process.ts';
import { makeTempDir } from '../test/servers/temp.ts';
import { runProgram } from './program.ts';
import { type Usage, treeUsage } from './process-tree.ts';
import type { Stage } from './stage.ts';
import type { Volume } from './volume.ts';

/** A mounted volume and the daemon behind it. */
export interface Mounted {
  readonly path: string;
  usage(): Usage;
}

/** How a volume is mounted. */
export interface MountRequest {
  /** Names folder and log. */
  readonly name: string;
  readonly volume: Pick<Volume, 'metaUrl'>;
  /** The command up to and without the metadata URL. */
  readonly command: readonly [string, ...string[]];
  /** Arguments behind the mountpoint. */
  readonly args: readonly string[];
  readonly signal: AbortSignal;
}

const MOUNT_TIMEOUT_MS = 60_000;
const UNMOUNT_TIMEOUT_MS = 20_000;
const POLL_MS = 50;

/**
 * Starts a daemon in the foreground and waits until its mount is there. The stage unmounts it.
 *
 * @throws Error with the daemon's output when it ends or does not mount in time
 */
export async function mountOn(stage: Stage, request: MountRequest): Promise<Mounted> {
  const { name, volume, command, args, signal } = request;
  signal.throwIfAborted();
  const dir = await makeTempDir(name);
  const path = join(dir, 'mnt');
  await mkdir(path);
  const logPath = join(dir, 'log');
  const daemon = await startServer([...command, volume.metaUrl, path, ...args], {
    logPath,
    cwd: process.cwd(),
  });
  stage.onEnd(`the mount ${name}`, () => unmount(path, daemon));
  await waitForMount(path, daemon, signal);
  return { path, usage: () => treeUsage(daemon.pid) };
}

async function waitForMount(
  path: string,
  daemon: ServerProcess,
  signal: AbortSignal,
): Promise<void> {
  const deadlineMs = performance.now() + MOUNT_TIMEOUT_MS;
  while (!(await isMounted(path))) {
    signal.throwIfAborted();
    if (daemon.ended() !== undefined || performance.now() > deadlineMs) {
      throw new Error(`${path} was not mounted: ${daemon.output().slice(-2000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  // Mounted is not yet serving: the first answer may need a connection to the metadata.
  await runProgram(['stat', path], { timeoutMs: MOUNT_TIMEOUT_MS, signal });
}

async function isMounted(path: string): Promise<boolean> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  return mounts.includes(` ${path} fuse`);
}

/** By its own signal first, as a user would; by force, should that not work. */
async function unmount(path: string, daemon: ServerProcess): Promise<void> {
  const never = new AbortController().signal;
  if (daemon.ended() === undefined && (await isMounted(path))) {
    await runProgram(['umount', path], { timeoutMs: UNMOUNT_TIMEOUT_MS, signal: never }).catch(
      () => undefined,
    );
  }
  await daemon.stop('SIGTERM', UNMOUNT_TIMEOUT_MS);
  if (await isMounted(path)) {
    await runProgram(['umount', '-l', path], { timeoutMs: UNMOUNT_TIMEOUT_MS, signal: never });
  }
}
