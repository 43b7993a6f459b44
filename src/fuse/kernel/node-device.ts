import { readSync, writevSync } from 'node:fs';
import { OUT_HEADER_BYTES } from '../wire/replies.ts';
import { errnoOf } from './errno-of.ts';
import type { WorkerDevice } from './worker-device.ts';
import { FRAME_BYTES, REQUEST_BYTES_MAX } from './worker-device.ts';

/** The device through `node:fs`: no native code, a quarter more CPU per byte than with libc. */
export class NodeDevice implements WorkerDevice {
  readonly frame: Uint8Array;
  readonly words: Uint32Array;
  readonly #fd: number;
  readonly #memory: Uint8Array;
  readonly #header = new Uint8Array(OUT_HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);
  readonly #scratch = new Uint8Array(REQUEST_BYTES_MAX);
  #scratchUsed = 0;
  #length = 0;
  #parts: Uint8Array[] = [];

  /** @param memory - what the locations of memory leases are offsets in */
  constructor(fd: number, memory: SharedArrayBuffer | undefined) {
    const buffer = new ArrayBuffer(FRAME_BYTES);
    this.frame = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.#fd = fd;
    this.#memory = new Uint8Array(memory ?? new SharedArrayBuffer(0));
  }

  receive(): number {
    try {
      return readSync(this.#fd, this.frame);
    } catch (error) {
      return -errnoOf(error);
    }
  }

  sendStatus(errno: number): number {
    this.begin();
    return this.#write(errno);
  }

  begin(): void {
    this.#parts = [this.#header];
    this.#length = OUT_HEADER_BYTES;
    this.#scratchUsed = 0;
  }

  addMemory(location: number, length: number): void {
    this.#parts.push(this.#memory.subarray(location, location + length));
    this.#length += length;
  }

  addFile(fd: number, offset: number, length: number): boolean {
    const part = this.#scratch.subarray(this.#scratchUsed, this.#scratchUsed + length);
    if (!readFully(fd, offset, part)) return false;
    this.#scratchUsed += length;
    this.#parts.push(part);
    this.#length += length;
    return true;
  }

  send(): number {
    return this.#write(0);
  }

  sendFile(): number {
    return -1;
  }

  close(): void {
    this.#parts = [];
  }

  #write(errno: number): number {
    this.#headerView.setUint32(0, this.#length, true);
    this.#headerView.setInt32(4, -errno, true);
    this.#header.set(this.frame.subarray(8, 16), 8);
    try {
      writevSync(this.#fd, this.#parts);
      return 0;
    } catch (error) {
      return errnoOf(error);
    }
  }
}

function readFully(fd: number, offset: number, into: Uint8Array): boolean {
  let done = 0;
  try {
    while (done < into.byteLength) {
      const count = readSync(fd, into, done, into.byteLength - done, offset + done);
      if (count === 0) return false;
      done += count;
    }
    return true;
  } catch {
    // The main thread reads the same bytes then and reports what is wrong with the file.
    return false;
  }
}
