import { Errno } from '../../posix/errno.ts';

/** The positive errno of an error of `node:fs`; EIO for other errors. */
export function errnoOf(error: unknown): number {
  const errno: unknown = error instanceof Error && 'errno' in error ? error.errno : undefined;
  return typeof errno === 'number' ? Math.abs(errno) : Errno.EIO;
}
