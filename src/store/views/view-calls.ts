import { ftruncate } from 'node:fs';
import { getSystemErrorName, promisify } from 'node:util';
import type { ByteRange } from '../../block/byte-range.ts';
import type { Libc } from '../../runtime/system/libc.ts';

/** @see linux/fs.h FICLONERANGE: _IOW(0x94, 13, struct file_clone_range) */
const FICLONERANGE = 0x4020940d;
/** `struct file_clone_range`: src_fd i64, src_offset, src_length and dest_offset u64. */
const WORDS = 4;

/** The system calls that make a view. Descriptors are in use until a call settles. */
export interface ViewCalls {
  /**
   * Makes bytes of one file those of another one, by sharing their room on the disk. What is not on the
   * disk yet is written there first.
   *
   * @throws an error with the system's `code`: ENOTSUP or EXDEV where files share nothing, EINVAL for
   *   ranges that lie beside pages
   */
  cloneRange(
    from: { readonly fd: number } & ByteRange,
    to: { readonly fd: number; readonly offset: number },
  ): Promise<void>;
  /** Cuts a file, or gives it zeros at its end. @throws the system's error */
  truncate(fd: number, lengthBytes: number): Promise<void>;
}

/** @returns the machine's own */
export function systemViewCalls(libc: Libc): ViewCalls {
  return {
    truncate: promisify(ftruncate),
    cloneRange: async (from, to) => {
      const request = new BigInt64Array(WORDS);
      request.set([from.fd, from.offset, from.length, to.offset].map(BigInt));
      const address = libc.addressOf(new Uint8Array(request.buffer));
      const result = await libc.ioctlLater(to.fd, FICLONERANGE, address);
      // Keeps the structure alive until here.
      request.fill(0n);
      if (result < 0) throw failure(result);
    },
  };
}

function failure(result: number): Error {
  const code = getSystemErrorName(result);
  return Object.assign(new Error(`${code}: the file system shares no bytes of two files`), {
    code,
  });
}
