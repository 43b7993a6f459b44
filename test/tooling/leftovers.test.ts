import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RUN_ID_VARIABLE, watchLeftovers } from '../../tools/test-run/leftovers.ts';
import { readMounts } from '../../tools/test-run/mounts.ts';

it('what a test run leaves behind is named and removed', async () => {
  const runId = randomBytes(4).toString('hex');
  const dir = join(tmpdir(), `cachemesh-${runId}`);
  const watch = await watchLeftovers(runId);

  const mountPoint = join(dir, 'mnt with blank');
  await mkdir(mountPoint, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', 'none', mountPoint]).status === 0;
  const child = spawn('sleep', ['1000'], { env: { ...process.env, [RUN_ID_VARIABLE]: runId } });
  const end = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)));

  const found = await watch.cleanUp();

  expect(found).toContain(`process ${child.pid}: sleep 1000`);
  expect(found).toContain(`folder: ${dir}`);
  // Only root can mount here; for others this part has nothing to find.
  expect(found.includes(`mount: tmpfs none on ${mountPoint}`)).toBe(mounted);
  expect(await end).toBe('SIGKILL');
  expect((await readMounts()).some((mount) => mount.mountPoint === mountPoint)).toBe(false);
  expect(existsSync(dir)).toBe(false);
});

it('a clean test run leaves nothing', async () => {
  const watch = await watchLeftovers(randomBytes(4).toString('hex'));
  expect(await watch.cleanUp()).toEqual([]);
});
