import type { BlockId } from './block-key.ts';
import type { ByteRange } from './byte-range.ts';

/** A part of a file that stands in one block. */
export interface ViewPart {
  /** Where in the file it begins. */
  readonly at: number;
  readonly id: BlockId;
  /** Plain length of that block. */
  readonly blockBytes: number;
  readonly inBlock: ByteRange;
}

/** A file as parts of blocks: ascending and disjoint; what lies between them is zeros. */
export interface ViewSpec {
  readonly lengthBytes: number;
  readonly parts: readonly ViewPart[];
}

/** A part of a block that becomes a part of a file without being copied. */
export interface CloneStep {
  readonly id: BlockId;
  readonly from: ByteRange;
  /** Offset in the file. */
  readonly to: number;
}

/**
 * How to put a file together by sharing: file systems share whole pages only, and the end of a file.
 * Steps are to be made in order, and the file then set to its length: the last step may reach beyond it.
 *
 * @param pageBytes - what the file system shares at least, e.g. 4096
 * @returns undefined when a part begins, or ends inside of its block, beside a page's border
 */
export function cloneStepsOf(spec: ViewSpec, pageBytes: number): CloneStep[] | undefined {
  const steps: CloneStep[] = [];
  for (const { at, id, blockBytes, inBlock } of spec.parts) {
    const { offset, length } = inBlock;
    if (at % pageBytes !== 0 || offset % pageBytes !== 0) return undefined;
    const left = blockBytes - offset;
    const endsFile = at + length === spec.lengthBytes;
    const whole = Math.min(Math.ceil(length / pageBytes) * pageBytes, left);
    // Behind the last byte of a file there is nothing that a longer step could spoil.
    if (length !== whole && !endsFile) return undefined;
    steps.push({ id, from: { offset, length: whole }, to: at });
  }
  return steps;
}
