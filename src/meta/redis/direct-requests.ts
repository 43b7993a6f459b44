import { LOOKUP_SHA } from './lookup-script.ts';

/** Longest request: the script's call with a name of 255 bytes, and room for a key prefix. */
const REQUEST_BYTES_MAX = 1024;

/**
 * Writes requests as the server reads them. Inode numbers are given as two 32-bit words, as the
 * kernel has them, and are below 2^53.
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export class DirectRequests {
  /** The request that was written last. */
  readonly bytes: Buffer;
  readonly #keyPrefix: string;
  readonly #lookupHead: string;
  readonly #lookupTail: string;

  /** @param keyPrefix - first part of all keys, ASCII */
  constructor(keyPrefix: string) {
    // A buffer of its own: its address is handed to system calls.
    this.bytes = Buffer.from(new ArrayBuffer(REQUEST_BYTES_MAX));
    this.#keyPrefix = keyPrefix;
    this.#lookupHead = `*6\r\n$7\r\nEVALSHA\r\n$40\r\n${LOOKUP_SHA}\r\n$1\r\n1\r\n`;
    this.#lookupTail = `\r\n${bulk(`${keyPrefix}i`)}`;
  }

  /**
   * The edge of a name and the attribute behind it.
   *
   * @param name - 1 … 255 raw bytes
   * @returns the request's length
   */
  writeLookup(parentLow: number, parentHigh: number, name: Uint8Array): number {
    const key = bulk(`${this.#keyPrefix}d${decimal(parentLow, parentHigh)}`);
    let at = this.bytes.write(`${this.#lookupHead}${key}$${name.byteLength}\r\n`, 0, 'latin1');
    this.bytes.set(name, at);
    at += name.byteLength;
    return at + this.bytes.write(this.#lookupTail, at, 'latin1');
  }

  /** The attribute of an inode. @returns the request's length */
  writeGetattr(inoLow: number, inoHigh: number): number {
    const key = bulk(`${this.#keyPrefix}i${decimal(inoLow, inoHigh)}`);
    return this.bytes.write(`*2\r\n$3\r\nGET\r\n${key}`, 0, 'latin1');
  }
}

function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

function decimal(low: number, high: number): string {
  return String((high >>> 0) * 2 ** 32 + (low >>> 0));
}
