/** Fills a cache directory with blocks until it is killed: `disk-tier-crash-child.ts DIR FIRST-NUMBER`. */
import { blockId, contentOf, makeDiskTier } from '../store/disk-tier-blocks.ts';

const SIZES = [700, 60_000, 300_000, 700_001];

const [directory, first] = process.argv.slice(2);
const { tier } = makeDiskTier([directory as string]);
await tier.start();
process.stdout.write('started\n');
for (let number = Number(first); ; number += 1) {
  const size = SIZES[number % SIZES.length] as number;
  tier.put(blockId(number, size), contentOf(number, size), () => undefined);
  // Several at once are in all stages of being written whenever the kill comes.
  if (number % 4 !== 3) continue;
  await tier.flushed();
  process.stdout.write('.');
}
