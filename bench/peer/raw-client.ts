import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { crc32 } from '@node-rs/crc32';
import { SUM_PIECE_BYTES } from '../../src/block/piece-sums.ts';
import type { BulkTls } from '../../src/peer/bulk-tls.ts';
import { RAW_REQUEST_BYTES } from './raw-server.ts';

const READ_BUFFER_BYTES = 256 * 1024;

/** What a raw client does beside receiving. */
export interface RawOptions {
  /** Encrypts. */
  readonly tls?: BulkTls;
  /** Where each answer is to lie as a whole; without it each read overwrites the last one. */
  readonly into?: Uint8Array;
  /** Computes the checksums that a receiver of the mesh compares. */
  readonly sums?: boolean;
}

/** Asks a raw server, one request at a time. */
export class RawClient {
  readonly #socket: Socket;
  readonly #options: RawOptions;
  readonly #request = Buffer.alloc(RAW_REQUEST_BYTES);
  readonly #readBuffer = new Uint8Array(READ_BUFFER_BYTES);
  #taken = 0;
  #wanted = 0;
  #done: () => void = () => undefined;

  private constructor(port: number, options: RawOptions) {
    this.#options = options;
    const { tls } = options;
    const callback = (length: number, buffer: Uint8Array): boolean => {
      this.#take(buffer.subarray(0, length));
      return true;
    };
    const at = { port, host: '127.0.0.1', noDelay: true };
    if (tls === undefined) {
      this.#socket = connect({ ...at, onread: { buffer: () => this.#room(), callback } });
    } else {
      const onread = { buffer: this.#readBuffer, callback };
      this.#socket = connectTls({ ...at, ...tls.clientOptions(), ...{ onread } });
    }
  }

  static async open(port: number, options: RawOptions = {}): Promise<RawClient> {
    const client = new RawClient(port, options);
    await once(client.#socket, options.tls === undefined ? 'connect' : 'secureConnect');
    client.#socket.setNoDelay(true);
    client.#socket.resume();
    return client;
  }

  /** Resolves when `length` bytes of a block have come. */
  get(length: number, block = 0): Promise<void> {
    this.#request.writeUInt32LE(length);
    this.#request.writeUInt32LE(block, 4);
    return this.#ask(this.#request, length);
  }

  /** Resolves when an echo server has sent all of `bytes` back. */
  echo(bytes: Uint8Array): Promise<void> {
    return this.#ask(bytes, bytes.byteLength);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** As the mesh does it: a plain socket reads to where the bytes belong. */
  #room(): Uint8Array {
    const left = Math.min(READ_BUFFER_BYTES, this.#wanted - this.#taken);
    if (left === 0) return this.#readBuffer;
    return this.#options.into?.subarray(this.#taken, this.#taken + left) ?? this.#readBuffer;
  }

  #take(bytes: Uint8Array): void {
    const { into, sums, tls } = this.#options;
    if (tls !== undefined) into?.set(bytes, this.#taken);
    if (sums === true) sumPieces(bytes, this.#taken);
    this.#taken += bytes.byteLength;
    if (this.#taken === this.#wanted) this.#done();
  }

  #ask(request: Uint8Array, length: number): Promise<void> {
    return new Promise((resolve) => {
      this.#taken = 0;
      this.#wanted = length;
      this.#done = resolve;
      this.#socket.write(request);
    });
  }
}

/** @param from - place of the first byte in its block */
function sumPieces(bytes: Uint8Array, from: number): void {
  for (let at = 0, sum = 0; at < bytes.byteLength; ) {
    const end = Math.min(bytes.byteLength, at + SUM_PIECE_BYTES - ((from + at) % SUM_PIECE_BYTES));
    sum = crc32(bytes.subarray(at, end), sum);
    at = end;
  }
}
