import type { Libc } from '../../runtime/system/libc.ts';
import { OUT_HEADER_BYTES } from '../wire/replies.ts';

const PAGE_BYTES = 4096;
const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const F_SETPIPE_SZ = 1031;
/** 1 MiB of data that does not begin at a page's border, and the header: 258 pages. */
const WANTED_PIPE_BYTES = 2 * 1024 * 1024;
/** What a pipe has when nothing else was asked for. */
const DEFAULT_PIPE_BYTES = 64 * 1024;
/** What a process without CAP_SYS_RESOURCE may ask for. @see /proc/sys/fs/pipe-max-size */
const UNPRIVILEGED_PIPE_BYTES = 1024 * 1024;

/** What a reply is put together from. */
interface SpliceSource {
  /** Address of the reply's header. */
  readonly header: number;
  readonly fd: number;
  readonly offset: number;
  readonly length: number;
}

/**
 * A pipe through which a file's pages go to the device without being copied to user space.
 *
 * A pipe holds one page, or a part of one, per slot; {@link SplicePipe.fits} must be asked before a
 * reply is put in. It does not block, because a thread that waited for room would wait for ever.
 */
export class SplicePipe {
  readonly #libc: Libc;
  readonly #descriptors = new Int32Array(new ArrayBuffer(64));
  readonly #offset = new BigInt64Array(new ArrayBuffer(64));
  readonly #offsetAddress: number;
  #slots: number;
  #isOpen = false;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#offsetAddress = libc.addressOf(new Uint8Array(this.#offset.buffer));
    this.#slots = this.#open();
  }

  /** Whether the pipe has slots for the header and for each page that the range touches. */
  fits(offset: number, length: number): boolean {
    return Math.ceil(((offset % PAGE_BYTES) + length) / PAGE_BYTES) + 1 <= this.#slots;
  }

  /** Puts the reply in the pipe, which is empty. @returns false when it could not, and is empty again */
  fill(source: SpliceSource): boolean {
    const into = this.#descriptors[1] as number;
    let isComplete = this.#libc.write(into, source.header, OUT_HEADER_BYTES) === OUT_HEADER_BYTES;
    this.#offset[0] = BigInt(source.offset);
    let left = source.length;
    while (isComplete && left > 0) {
      const count = this.#libc.splice(source.fd, this.#offsetAddress, into, 0, left, 0);
      isComplete = count > 0;
      left -= count;
    }
    if (!isComplete) this.#reset();
    return isComplete;
  }

  /** Hands the reply to the device. @returns 0 or a positive errno; the pipe is empty afterwards */
  drainTo(device: number, length: number): number {
    const count = this.#libc.splice(this.#descriptors[0] as number, 0, device, 0, length, 0);
    if (count === length) return 0;
    const errno = this.#libc.errno();
    this.#reset();
    return errno;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#libc.close(this.#descriptors[0] as number);
    this.#libc.close(this.#descriptors[1] as number);
    this.#isOpen = false;
  }

  #reset(): void {
    this.close();
    this.#slots = this.#open();
  }

  /** @returns the number of slots; 0 when there is no pipe, so that nothing fits */
  #open(): number {
    const address = this.#libc.addressOf(new Uint8Array(this.#descriptors.buffer));
    if (this.#libc.pipe2(address, O_CLOEXEC | O_NONBLOCK) !== 0) return 0;
    this.#isOpen = true;
    const fd = this.#descriptors[1] as number;
    for (const wanted of [WANTED_PIPE_BYTES, UNPRIVILEGED_PIPE_BYTES]) {
      const size = this.#libc.fcntl(fd, F_SETPIPE_SZ, wanted);
      if (size > 0) return size / PAGE_BYTES;
    }
    return DEFAULT_PIPE_BYTES / PAGE_BYTES;
  }
}
