import { expect, it } from 'vitest';
import { blockIdOf } from '../../src/block/block-key.ts';
import { SliceRemover } from '../../src/store/slice-remover.ts';

const MIB = 2 ** 20;
const SIGNAL = new AbortController().signal;

it('deletes every block of a slice, the last one with its own length', async () => {
  const removed: string[] = [];
  const origin = {
    remove: async (key: Parameters<typeof blockIdOf>[0]) => void removed.push(blockIdOf(key)),
  };
  await new SliceRemover(origin, 4 * MIB).removeSlice({ id: 7n, size: 10 * MIB }, SIGNAL);
  expect(removed).toEqual([`7_0_${4 * MIB}`, `7_1_${4 * MIB}`, `7_2_${2 * MIB}`]);
});

it('tries them all before it fails', async () => {
  const tried: number[] = [];
  const origin = {
    remove: async ({ index }: { index: number }) => {
      tried.push(index);
      if (index === 1) throw new Error('no');
    },
  };
  const removal = new SliceRemover(origin, 64).removeSlice({ id: 7n, size: 6400 }, SIGNAL);
  await expect(removal).rejects.toThrow('no');
  expect(tried).toHaveLength(100);
});
