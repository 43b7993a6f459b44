import { CHUNK_BYTES } from '../../block/geometry.ts';
import { planRead } from '../../block/read-plan.ts';
import type { FilePart } from '../../mesh/local-views.ts';
import type { BlockKey } from '../../block/block-key.ts';
import { abortReason } from '../../runtime/deadline.ts';
import type { FileVersion } from '../file-version.ts';
import type { PlanCache } from '../plan-cache.ts';

/** Parts of one file at most: 256 GiB in blocks of 4 MiB. */
const PARTS_MAX = 65_536;
/** Chunks of one file at most, 1 TiB: each is asked for, and a sparse file may have millions of empty ones. */
const CHUNKS_MAX = 16_384;

/**
 * The parts of blocks that a file consists of.
 *
 * @param from - `holds`: whether a block is where it is needed
 * @returns `missing` as soon as a block is not held; `large`: there are too many parts, or chunks
 * @throws what reading the metadata throws; SliceRecordError; the signal's reason when aborted
 */
export async function filePartsOf(
  version: FileVersion,
  from: { plans: PlanCache; blockBytes: number; holds: (key: BlockKey) => boolean },
  signal: AbortSignal,
): Promise<readonly FilePart[] | 'missing' | 'large'> {
  const { plans, blockBytes, holds } = from;
  const { lengthBytes } = version;
  if (lengthBytes > CHUNKS_MAX * CHUNK_BYTES) return 'large';
  const parts: FilePart[] = [];
  for (let index = 0; index * CHUNK_BYTES < lengthBytes; index += 1) {
    if (signal.aborted) throw abortReason(signal);
    const begin = index * CHUNK_BYTES;
    const pieces = await plans.load(version, index, signal);
    const range = { offset: 0, length: Math.min(CHUNK_BYTES, lengthBytes - begin) };
    for (const step of planRead(pieces, range, blockBytes)) {
      if (step.key === undefined) continue;
      if (!holds(step.key)) return 'missing';
      if (parts.length === PARTS_MAX) return 'large';
      parts.push({ at: begin + step.at.offset, key: step.key, inBlock: step.inBlock });
    }
  }
  return parts;
}
