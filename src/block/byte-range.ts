/** Bytes `offset` … `offset + length − 1`. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** @returns the part that two ranges share, or undefined when there is none */
export function intersect(a: ByteRange, b: ByteRange): ByteRange | undefined {
  const offset = Math.max(a.offset, b.offset);
  const end = Math.min(a.offset + a.length, b.offset + b.length);
  return end > offset ? { offset, length: end - offset } : undefined;
}
