import { constants } from 'node:os';
import { FsError } from '../../posix/errno.ts';

/** A path or target has bytes that the package, which speaks UTF-8 strings, cannot carry. */
export class NotUtf8Error extends Error {
  /** @param what - names the path or target */
  constructor(what: string) {
    super(`${what} is not valid UTF-8, which fuse-native cannot express`);
    this.name = 'NotUtf8Error';
  }
}

/** macOS says ENOATTR where Linux says ENODATA. @see sys/errno.h of macOS */
const MACOS_ENOATTR = 93;

/**
 * The negative number that answers a failed operation. Numbers differ between Linux and macOS, so
 * the platform's own table is asked by name.
 *
 * @returns undefined for failures that no file system operation should have: the caller logs them
 *   and answers EIO
 */
export function expectedErrno(error: unknown): number | undefined {
  if (error instanceof NotUtf8Error) return -constants.errno.EILSEQ;
  if (!(error instanceof FsError)) return undefined;
  if (error.code === 'ENODATA' && process.platform === 'darwin') return -MACOS_ENOATTR;
  const table: Readonly<Record<string, number>> = constants.errno;
  return -(table[error.code] ?? error.errno);
}

/** The answer to a failure that was not expected. */
export const EIO_ANSWER: number = -constants.errno.EIO;
/** The answer to everything that would change the volume. */
export const EROFS_ANSWER: number = -constants.errno.EROFS;
/** The answer when the caller's buffer is too small. */
export const ERANGE_ANSWER: number = -constants.errno.ERANGE;
