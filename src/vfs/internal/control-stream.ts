import { FsError } from '../../posix/errno.ts';

/** The stream drops its oldest part when it has grown beyond this and was read past it, as in JuiceFS. */
const KEPT_BYTES = 2 * 2 ** 20;
const DROPPED_BYTES = 2 ** 20;
/** What nobody reads: an answer that grows beyond this loses its progress, never its end. */
const UNREAD_BYTES_MAX = 64 * 2 ** 20;

/**
 * What an open `.control` looks like to its reader: one stream in which answers stand behind the
 * requests that were written, so that a read at the writer's position finds the answer.
 */
export class ControlStream {
  #bytes: Buffer = Buffer.alloc(0);
  /** Position in the file of the first byte that is kept. */
  #from = 0;

  /** Bytes that are kept. */
  get sizeBytes(): number {
    return this.#bytes.byteLength;
  }

  /** Appends bytes as a whole, so that no reader sees a part of them only. */
  append(bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
  }

  /** Appends what may be left out when nobody reads. */
  appendIfRoom(bytes: Uint8Array): void {
    if (this.#bytes.byteLength + bytes.byteLength <= UNREAD_BYTES_MAX) this.append(bytes);
  }

  /**
   * What is there at a position; empty when nothing is there yet.
   *
   * @throws FsError EIO when it was dropped already
   */
  read(offset: number, length: number): Uint8Array {
    if (offset < this.#from) throw new FsError('EIO', 'that part of .control was dropped');
    const at = offset - this.#from;
    // A copy: the stream may drop these bytes before the kernel has them.
    const found = Buffer.from(this.#bytes.subarray(at, at + length));
    if (this.#bytes.byteLength > KEPT_BYTES && at > DROPPED_BYTES) {
      this.#from += DROPPED_BYTES;
      this.#bytes = this.#bytes.subarray(DROPPED_BYTES);
    }
    return found;
  }
}
