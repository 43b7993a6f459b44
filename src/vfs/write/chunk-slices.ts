import type { WriteSlice } from './write-slice.ts';

/** Looking further back costs more than one more slice. */
const LOOK_BACK_MAX = 4;

/**
 * The slice that bytes of a chunk can be written to: the newest one that takes them, unless a newer
 * one has some of these bytes, since later slices win.
 *
 * @param slices - of one file, in the order in which they will be committed
 * @param at - `offset` and `end` in chunk `index`
 */
export function sliceFor(
  slices: readonly WriteSlice[],
  at: { index: number; offset: number; end: number },
): WriteSlice | undefined {
  let looked = 0;
  for (let place = slices.length - 1; place >= 0 && looked < LOOK_BACK_MAX; place -= 1) {
    const slice = slices[place] as WriteSlice;
    if (slice.index !== at.index) continue;
    if (slice.takes(at.offset)) return slice;
    if (slice.overlaps(at.offset, at.end)) return undefined;
    looked += 1;
  }
  return undefined;
}
