import { CodedError } from '../../runtime/coded-error.ts';
import { type ErrnoName, FsError } from '../../posix/errno.ts';

/** Why writes of a file were given up: its data was discarded, or the daemon ends. */
export class WriteAbortedError extends CodedError<'aborted'> {}

/** Error numbers that say why data could not be kept; everything else is EIO. */
const TOLD: readonly ErrnoName[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/** What programs are told when data that was written could not be kept. */
export function lossError(cause: unknown, what: string): FsError {
  const code = cause instanceof FsError && TOLD.includes(cause.code) ? cause.code : 'EIO';
  return new FsError(code, `${what}: written data was lost`, { cause });
}
