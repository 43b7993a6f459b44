/** Linux error numbers. @see asm-generic/errno-base.h, asm-generic/errno.h */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  ETIME: 62,
  EPROTO: 71,
  EBADMSG: 74,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  ETIMEDOUT: 110,
  ESTALE: 116,
  EDQUOT: 122,
} as const;

/** The name of an error number, e.g. `ENOENT`. */
export type ErrnoName = keyof typeof Errno;

/** A POSIX outcome other than success. */
export class FsError extends Error {
  /** Positive Linux error number. */
  readonly errno: number;
  /** The number's name, e.g. `ENOENT`. */
  readonly code: ErrnoName;

  /**
   * @param code - e.g. `ENOENT`
   * @param message - what it concerns, for logs; the kernel sees the number only
   */
  constructor(code: ErrnoName, message: string = code, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'FsError';
    this.code = code;
    this.errno = Errno[code];
  }
}
