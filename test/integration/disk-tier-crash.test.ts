import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parseCacheName } from '../../src/store/cache-layout.ts';
import { makeTempDir } from '../servers/temp.ts';
import {
  blockFiles,
  contentOf,
  sameBytes,
  makeDiskTier,
  readBlock,
} from '../store/disk-tier-blocks.ts';

const ROUNDS = 50;
const BLOCKS_PER_ROUND = 1_000;

/** Starts a writer and kills it in the middle of its work, each round at another moment. */
async function crash(directory: string, round: number): Promise<void> {
  const script = fileURLToPath(new URL('./disk-tier-crash-child.ts', import.meta.url));
  const child = spawn(process.execPath, [script, directory, String(round * BLOCKS_PER_ROUND)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  // By its progress and not by time alone, for a loaded machine may not have written anything yet.
  if (round % 5 !== 0) await once(child.stdout, 'data');
  await new Promise((resolve) => {
    setTimeout(resolve, (round * 7) % 30);
  });
  child.kill('SIGKILL');
  await exited;
}

it('serves after a SIGKILL only what was written, 50 times', { timeout: 300_000 }, async () => {
  const directory = await makeTempDir('crash');
  const seen = new Set<number>();
  for (let round = 0; round < ROUNDS; round += 1) {
    await crash(directory, round);
    const { tier } = makeDiskTier([directory]);
    await tier.start();
    await tier.scanned();
    for (const path of blockFiles(directory)) {
      const name = parseCacheName(path.slice(path.lastIndexOf('/') + 1));
      const number = Number(name?.id.split('_')[0]);
      if (name === undefined || name.kind === 'sums') continue;
      // Each block once, and all of them at the end.
      if (seen.has(number) && round < ROUNDS - 1) continue;
      const bytes = await readBlock(tier, number, name.sizeBytes).catch(() => undefined);
      if (bytes === undefined) continue;
      expect(sameBytes(bytes, contentOf(number, name.sizeBytes))).toBe(true);
      seen.add(number);
    }
    await tier.stop();
  }
  // Otherwise nothing was written before the kills, and the test showed nothing.
  expect(seen.size).toBeGreaterThan(ROUNDS);
});
