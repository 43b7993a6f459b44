import type { Libc } from '../../runtime/system/libc.ts';
import { OUT_HEADER_BYTES } from '../wire/replies.ts';
import { SplicePipe } from './splice-pipe.ts';
import type { WorkerDevice } from './worker-device.ts';
import { FRAME_BYTES, REQUEST_BYTES_MAX } from './worker-device.ts';

/** A READ of 1 MiB from 64 KiB units has 17 parts at most, and the header. */
const IOVECS_MAX = 32;
/** 32-bit words of `struct iovec`: address and length, 64 bits each. */
const IOVEC_WORDS = 4;
/** Below this size copying costs less than the system calls of splice. */
const SPLICE_BYTES_MIN = 64 * 1024;

/**
 * The device through libc. Addresses are written into the iovecs as two words each, so that a
 * request makes no objects. The buffers are `ArrayBuffer`s of their own: those never move.
 */
export class NativeDevice implements WorkerDevice {
  readonly frame: Uint8Array;
  readonly words: Uint32Array;
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #frameAddress: number;
  readonly #headerWords: Uint32Array;
  readonly #header: Uint8Array;
  readonly #headerAddress: number;
  readonly #iovecWords: Uint32Array;
  readonly #iovecAddress: number;
  readonly #iovecBytes: Uint8Array;
  readonly #scratch: Uint8Array;
  readonly #scratchAddress: number;
  readonly #pipe: SplicePipe;
  #scratchUsed = 0;
  #length = 0;
  #count = 0;

  constructor(fd: number, libc: Libc) {
    this.#libc = libc;
    this.#fd = fd;
    const frame = new ArrayBuffer(FRAME_BYTES);
    this.frame = new Uint8Array(frame);
    this.words = new Uint32Array(frame);
    this.#frameAddress = libc.addressOf(this.frame);
    this.#header = new Uint8Array(new ArrayBuffer(OUT_HEADER_BYTES));
    this.#headerWords = new Uint32Array(this.#header.buffer);
    this.#headerAddress = libc.addressOf(this.#header);
    this.#iovecBytes = new Uint8Array(new ArrayBuffer(IOVECS_MAX * IOVEC_WORDS * 4));
    this.#iovecWords = new Uint32Array(this.#iovecBytes.buffer);
    this.#iovecAddress = libc.addressOf(this.#iovecBytes);
    this.#scratch = new Uint8Array(new ArrayBuffer(REQUEST_BYTES_MAX));
    this.#scratchAddress = libc.addressOf(this.#scratch);
    this.#pipe = new SplicePipe(libc);
    this.#setIovec(0, this.#headerAddress, OUT_HEADER_BYTES);
  }

  receive(): number {
    const count = this.#libc.read(this.#fd, this.#frameAddress, FRAME_BYTES);
    return count >= 0 ? count : -this.#libc.errno();
  }

  sendStatus(errno: number): number {
    this.begin();
    this.#setHeader(errno);
    return this.#writev();
  }

  begin(): void {
    this.#count = 1;
    this.#length = OUT_HEADER_BYTES;
    this.#scratchUsed = 0;
  }

  addMemory(location: number, length: number): void {
    this.#setIovec(this.#count, location, length);
    this.#count += 1;
    this.#length += length;
  }

  addFile(fd: number, offset: number, length: number): boolean {
    const address = this.#scratchAddress + this.#scratchUsed;
    let done = 0;
    while (done < length) {
      const count = this.#libc.pread(fd, address + done, length - done, offset + done);
      // The main thread reads the same bytes then and reports what is wrong with the file.
      if (count <= 0) return false;
      done += count;
    }
    this.#scratchUsed += length;
    this.addMemory(address, length);
    return true;
  }

  send(): number {
    this.#setHeader(0);
    return this.#writev();
  }

  sendFile(fd: number, offset: number, length: number): number {
    if (length < SPLICE_BYTES_MIN || !this.#pipe.fits(offset, length)) return -1;
    this.#length = OUT_HEADER_BYTES + length;
    this.#setHeader(0);
    if (!this.#pipe.fill({ header: this.#headerAddress, fd, offset, length })) return -1;
    return this.#pipe.drainTo(this.#fd, this.#length);
  }

  close(): void {
    this.#pipe.close();
  }

  #setHeader(errno: number): void {
    this.#headerWords[0] = this.#length;
    this.#headerWords[1] = -errno;
    this.#headerWords[2] = this.words[2] as number;
    this.#headerWords[3] = this.words[3] as number;
  }

  #setIovec(index: number, address: number, length: number): void {
    const at = index * IOVEC_WORDS;
    this.#iovecWords[at] = address % 2 ** 32;
    this.#iovecWords[at + 1] = Math.floor(address / 2 ** 32);
    this.#iovecWords[at + 2] = length;
    this.#iovecWords[at + 3] = 0;
  }

  #writev(): number {
    const count = this.#libc.writev(this.#fd, this.#iovecAddress, this.#count);
    return count >= 0 ? 0 : this.#libc.errno();
  }
}
