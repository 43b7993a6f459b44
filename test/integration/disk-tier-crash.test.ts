import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parseCacheName } from '../../src/store/cache-layout.ts';
import { makeTempDir } from '../servers/temp.ts';
import {
  blockFiles,
  contentOf,
  expectBytes,
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
  await new Promise((resolve) => {
    setTimeout(resolve, (round * 7) % 60);
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
      if (name === undefined || name.kind === 'sums' || seen.has(number)) continue;
      const bytes = await readBlock(tier, number, name.sizeBytes).catch(() => undefined);
      if (bytes === undefined) continue;
      expectBytes(bytes, contentOf(number, name.sizeBytes));
      seen.add(number);
    }
    await tier.stop();
  }
  // Otherwise nothing was written before the kills, and the test showed nothing.
  expect(seen.size).toBeGreaterThan(ROUNDS);
});
