import { readFileSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';
import { blockFiles, blockId, makeDiskTier, putBlock } from './disk-tier-blocks.ts';
import { manualClock } from './manual-clock.ts';

const SIZE = 40_000;
const MINUTE_MS = 60_000;
const { signal } = new AbortController();

test('a block that goes bad after its check is found without being read, and dropped', async () => {
  const dir = await makeTempDir('scrub');
  const clock = manualClock();
  const { tier, metrics } = makeDiskTier([dir], { clock });
  await tier.start();
  onTestFinished(() => tier.stop());
  for (const number of [1, 2, 3]) {
    await putBlock(tier, number, SIZE);
    const file = await tier.open(blockId(number, SIZE), signal);
    // From here on it is read unchecked.
    expect(file?.lease).toBeDefined();
    file?.release();
  }
  const path = blockFiles(dir).find((file) => file.includes('2_0_')) as string;
  const bytes = readFileSync(path);
  bytes[SIZE - 1] = (bytes[SIZE - 1] as number) ^ 1;
  writeFileSync(path, bytes);

  await waitUntil('the bad block is gone', async () => {
    await clock.advance(MINUTE_MS / 100);
    return !tier.has(blockId(2, SIZE));
  });
  expect(metrics.value('blockcache_damaged')).toBe(1);
  expect([1, 3].map((number) => tier.has(blockId(number, SIZE)))).toEqual([true, true]);
});
