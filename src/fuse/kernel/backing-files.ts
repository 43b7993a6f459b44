import assert from 'node:assert/strict';
import { fstatSync } from 'node:fs';
import { Errno } from '../../posix/errno.ts';
import type { Libc } from '../../runtime/system/libc.ts';
import type { BackingFiles } from '../driver.ts';

/** @see linux/fuse.h FUSE_DEV_IOC_BACKING_OPEN: _IOW(229, 1, struct fuse_backing_map) */
const BACKING_OPEN = 0x4010e501;
/** @see linux/fuse.h FUSE_DEV_IOC_BACKING_CLOSE: _IOW(229, 2, uint32_t) */
const BACKING_CLOSE = 0x4004e502;
/** `struct fuse_backing_map`: fd i32, flags u32, padding u64. */
const MAP_BYTES = 16;

/** Registers backing files at a mounted device. */
export class DeviceBackingFiles implements BackingFiles {
  readonly #libc: Libc;
  readonly #device: number;
  readonly #map = new Uint8Array(new ArrayBuffer(MAP_BYTES));
  readonly #words = new Int32Array(this.#map.buffer);
  readonly #address: number;
  #ended = false;

  /** @param device - descriptor of the device, which stays open until {@link end} */
  constructor(libc: Libc, device: number) {
    this.#libc = libc;
    this.#device = device;
    this.#address = libc.addressOf(this.#map);
  }

  open(fd: number, lengthBytes: number): number {
    if (this.#ended) return -Errno.ENODEV;
    if (sizeOf(fd) !== lengthBytes) return -Errno.EIO;
    this.#words.fill(0);
    this.#words[0] = fd;
    const id = this.#libc.ioctl(this.#device, BACKING_OPEN, this.#address);
    if (id > 0) return id;
    const errno = this.#libc.errno();
    assert(errno > 0, 'a backing file has a number above 0');
    return -errno;
  }

  close(id: number): void {
    // With the device the kernel forgets all numbers.
    if (this.#ended) return;
    this.#words[0] = id;
    const result = this.#libc.ioctl(this.#device, BACKING_CLOSE, this.#address);
    assert(result === 0, `closing backing file ${id} failed (errno ${this.#libc.errno()})`);
  }

  /** The device is about to be closed. */
  end(): void {
    this.#ended = true;
  }
}

function sizeOf(fd: number): number | undefined {
  try {
    return fstatSync(fd).size;
  } catch {
    // The file is of no use; whoever reads it in another way finds out why.
    return undefined;
  }
}
