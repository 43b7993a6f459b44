import { abortReason } from '../runtime/deadline.ts';
import { chunkStream } from './chunk-stream.ts';
import type { ObjectBody } from './object-store.ts';

const CHUNK_BYTES = 256 * 1024;
/** Buffers that wait for their next use. More reads than this at a time make their own. */
const SPARE_MAX = 16;

/** Part of a file that is open for its body alone. */
export interface OpenRange {
  readonly sizeBytes: number;
  /**
   * Fills the beginning of `into`.
   *
   * @param at - counted from the beginning of the part
   * @returns how many bytes, at least one
   */
  read(into: Uint8Array, at: number): Promise<number>;
  close(): Promise<void>;
}

/** Makes bodies of open files. */
export class FileBodies {
  readonly #spare: Buffer[] = [];

  /** The body of a part, which it closes. */
  body(part: OpenRange, signal: AbortSignal): ObjectBody {
    return {
      ...{ sizeBytes: part.sizeBytes, crc32c: undefined },
      chunks: chunks(part, signal),
      readInto: (into, onReady) => this.#readInto(part, { into, onReady, signal }),
    };
  }

  /**
   * By way of a buffer of our own: a disk may answer long after nobody waits for it any more, when `into`
   * holds something else. The buffers are used again, as dead ones would fill memory until a collection.
   */
  async #readInto(
    part: OpenRange,
    to: { into: Uint8Array; onReady: (readyBytes: number) => void; signal: AbortSignal },
  ): Promise<void> {
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    try {
      for (let at = 0; at < part.sizeBytes; ) {
        if (to.signal.aborted) throw abortReason(to.signal);
        const count = await part.read(buffer.subarray(0, part.sizeBytes - at), at);
        if (to.signal.aborted) throw abortReason(to.signal);
        to.into.set(buffer.subarray(0, count), at);
        at += count;
        to.onReady(at);
      }
    } finally {
      if (this.#spare.length < SPARE_MAX) this.#spare.push(buffer);
      await part.close();
    }
  }
}

function chunks(part: OpenRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
  let at = 0;
  return chunkStream({
    async read() {
      if (signal.aborted) throw abortReason(signal);
      if (at === part.sizeBytes) return undefined;
      const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, part.sizeBytes - at));
      const count = await part.read(buffer, at);
      at += count;
      return buffer.subarray(0, count);
    },
    close: () => part.close(),
  });
}
