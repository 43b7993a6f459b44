import { WireError } from './wire-error.ts';

/**
 * Reads the little-endian fields of a frame one after the other.
 * The protocol is in the byte order of the machine; all machines that Node supports here are little-endian.
 *
 * Every method throws WireError when the frame is too short.
 */
export class FrameReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  /** @param at - where reading begins */
  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  /** Bytes that were not read yet. */
  get left(): number {
    return this.#bytes.byteLength - this.#at;
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** A copy of the next bytes. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.slice(at, at + length);
  }

  /** The next bytes as they lie in the frame. */
  view(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Bytes up to a NUL, which is read too. Not empty, without `/`. */
  name(): Uint8Array {
    const name = this.text();
    if (name.byteLength === 0) throw new WireError('a name is empty');
    if (name.includes(0x2f)) throw new WireError('a name contains a slash');
    return name;
  }

  /** Bytes up to a NUL, which is read too. */
  text(): Uint8Array {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end === -1) throw new WireError('a name has no end');
    const text = this.#bytes.slice(this.#at, end);
    this.#at = end + 1;
    return text;
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.left) {
      throw new WireError(
        `${length} bytes expected at ${at}, the frame has ${this.#bytes.byteLength}`,
      );
    }
    this.#at = at + length;
    return at;
  }
}
