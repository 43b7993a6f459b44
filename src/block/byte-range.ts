/** Bytes `offset` … `offset + length − 1`. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}
