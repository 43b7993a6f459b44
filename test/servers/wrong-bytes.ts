import { sliceBytes } from './synthetic-bytes.ts';
import type { SyntheticFile } from './synthetic-volume.ts';

/**
 * Compares what was read with what a file holds.
 *
 * @param found - what read(2) gave at `offset`, before the file's end: nothing is wrong, too
 * @returns a line for each part that is not as it should be
 */
export function wrongBytes(file: SyntheticFile, offset: number, found: Buffer): string[] {
  const { length } = found;
  const wrong: string[] = [];
  if (length === 0) wrong.push(`${file.path}: ends at ${offset}`);
  let start = 0;
  let at = 0;
  for (const { sliceId, length: pieceLength } of file.pieces) {
    const from = Math.max(offset, start);
    const to = Math.min(offset + length, start + pieceLength);
    if (to > from) {
      const expected = sliceBytes(sliceId, from - start, to - from);
      if (expected.compare(found, at, at + to - from) !== 0) {
        wrong.push(`${file.path}: wrong bytes in ${from} … ${to - 1}`);
      }
      at += to - from;
    }
    start += pieceLength;
  }
  if (at !== length) wrong.push(`${file.path}: ${length - at} bytes too many at ${offset}`);
  return wrong;
}
