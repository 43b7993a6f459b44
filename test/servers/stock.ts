import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Ended, runToEnd } from './cli.ts';
import { makeTempDir } from './temp.ts';

/** Whether the original client is there. */
export const hasStock = spawnSync('juicefs', ['version']).status === 0;

const MOUNT_TRIES = 300;

/** Runs a command of the original client to its end. */
export function runStock(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return runToEnd(['juicefs', '--no-color', ...words], {
    env: { JFS_NO_UPDATE_CHECK: '1', ...env },
  });
}

/** A mount of the original client. */
export interface StockMount {
  readonly mountpoint: string;
  stop(): Promise<void>;
  /** Ends it as a crash does. */
  kill(): Promise<void>;
}

/**
 * Mounts a volume with the original client, which does no work behind it.
 *
 * @param more - `args`: further words of the command line; `cacheDir`: instead of a new one
 */
export async function startStockMount(
  metaUrl: string,
  env: Readonly<Record<string, string>> = {},
  more: { readonly args?: readonly string[]; readonly cacheDir?: string } = {},
): Promise<StockMount> {
  const dir = await makeTempDir('stock');
  const mountpoint = join(dir, 'mnt');
  await mkdir(mountpoint);
  const quiet = ['--no-usage-report', '--no-bgjob', '--no-syslog', '--backup-meta', '0'];
  const cacheDir = more.cacheDir ?? join(dir, 'cache');
  const child = spawn(
    'juicefs',
    ['mount', metaUrl, mountpoint, '--cache-dir', cacheDir, ...quiet, ...(more.args ?? [])],
    { stdio: 'ignore', env: { ...process.env, JFS_NO_UPDATE_CHECK: '1', ...env } },
  );
  const stop = async () => {
    await promisify(execFile)('umount', ['-l', mountpoint]).catch(() => undefined);
    if (child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await Promise.race([ended, sleep(10_000)]);
    if (child.exitCode === null) child.kill('SIGKILL');
  };
  for (let tries = 0; (await stat(mountpoint).catch(() => undefined))?.ino !== 1; tries += 1) {
    if (tries < MOUNT_TRIES && child.exitCode === null) await sleep(100);
    else {
      await stop();
      throw new Error('the original client did not mount');
    }
  }
  const kill = async () => {
    // It runs as two processes, of which the first would start the second one again.
    const asking = promisify(execFile)('pgrep', ['-P', String(child.pid)]);
    const { stdout } = await asking.catch(() => ({ stdout: '' }));
    child.kill('SIGKILL');
    for (const pid of stdout.trim().split('\n')) {
      if (pid !== '') process.kill(Number(pid), 'SIGKILL');
    }
    await stop();
  };
  return { mountpoint, stop, kill };
}
