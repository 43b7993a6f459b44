/** What has come of a text that is sent in chunks. */
export interface ChunkedText {
  readonly text: string;
  /** Its last chunk was there, or something that is no chunk: nothing of it follows. */
  readonly isComplete: boolean;
}

const SIZE_LINE = /^([0-9a-f]{1,8})[ \t]*(?:;.*)?$/i;
const LINE_END = '\r\n';

/**
 * Takes a text out of its chunks. Only for errors: objects come with their length, or not at all.
 *
 * @param bytes - the body so far, from its beginning
 * @see RFC 9112, section 7.1
 */
export function textOfChunks(bytes: Buffer): ChunkedText {
  const parts: Buffer[] = [];
  const found = (isComplete: boolean) => ({ text: String(Buffer.concat(parts)), isComplete });
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf(LINE_END, at, 'latin1');
    if (lineEnd === -1) return found(false);
    const size = SIZE_LINE.exec(bytes.toString('latin1', at, lineEnd))?.[1] ?? '0';
    const chunkBytes = Number.parseInt(size, 16);
    if (chunkBytes === 0) return found(true);
    const from = lineEnd + LINE_END.length;
    parts.push(bytes.subarray(from, from + chunkBytes));
    at = from + chunkBytes + LINE_END.length;
    if (at > bytes.byteLength) return found(false);
  }
}
