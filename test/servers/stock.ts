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

/** Mounts a volume with the original client, which does no work behind it. */
export async function startStockMount(
  metaUrl: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly mountpoint: string; stop(): Promise<void> }> {
  const dir = await makeTempDir('stock');
  const mountpoint = join(dir, 'mnt');
  await mkdir(mountpoint);
  const quiet = ['--no-usage-report', '--no-bgjob', '--no-syslog', '--backup-meta', '0'];
  const child = spawn(
    'juicefs',
    ['mount', metaUrl, mountpoint, '--cache-dir', join(dir, 'cache'), ...quiet],
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
  return { mountpoint, stop };
}
