import type { Duplex } from 'node:stream';

/**
 * A write to a TLS socket encrypts all of it at once; in slices the other side decrypts the first
 * ones meanwhile.
 */
const SLICE_BYTES = 256 * 1024;

/**
 * Writes to an encrypted socket: slice after slice, and never several buffers in one call, because
 * node:tls would copy them together.
 */
export class SlicedWrites {
  readonly #socket: Duplex;
  #last: Promise<void> = Promise.resolve();

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Resolves when the system has taken all; rejects with the socket's error. */
  write(buffers: readonly Uint8Array[]): Promise<void> {
    const written = this.#last.then(() => this.#writeAll(buffers));
    this.#last = written.catch(() => undefined);
    return written;
  }

  async #writeAll(buffers: readonly Uint8Array[]): Promise<void> {
    for (const bytes of buffers) {
      for (let at = 0; at < bytes.byteLength; at += SLICE_BYTES) {
        await this.#writeSlice(bytes.subarray(at, at + SLICE_BYTES));
      }
    }
  }

  #writeSlice(slice: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(slice, (error) => {
        if (error === undefined || error === null) resolve();
        else reject(error);
      });
    });
  }
}
