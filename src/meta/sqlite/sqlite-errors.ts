import { type ErrnoName, FsError } from '../../posix/errno.ts';
import { MetaError, type MetaErrorCode } from '../engine.ts';
import type { SqliteFailure } from './sqlite-protocol.ts';

/** Primary result codes. @see sqlite3.h */
const Result = {
  busy: 5,
  locked: 6,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cantOpen: 14,
  schema: 17,
  notADb: 26,
};
const PRIMARY_MASK = 0xff;
const notOutcome = { isOutcome: false };

/**
 * What an error in the worker means: `corrupt` for a damaged file or a table that is not as it must
 * be, `unavailable` (retryable) for a lock or a disk that fails, `ENOSPC` for a full one, `refused` for
 * all else. What a transaction throws as an FsError stays one.
 */
export function toFailure(error: unknown): SqliteFailure {
  if (error instanceof MetaError) {
    return { ...notOutcome, code: error.code, message: error.message, retryable: error.retryable };
  }
  if (error instanceof FsError) {
    return { isOutcome: true, code: error.code, message: error.message, retryable: false };
  }
  const message = `SQLite: ${error instanceof Error ? error.message : String(error)}`;
  switch (primaryResult(error)) {
    case Result.busy:
    case Result.locked:
    case Result.ioError:
    case Result.cantOpen:
    case Result.schema:
      return { ...notOutcome, code: 'unavailable', message, retryable: true };
    case Result.corrupt:
    case Result.notADb:
      return { ...notOutcome, code: 'corrupt', message, retryable: false };
    case Result.full:
      return { isOutcome: true, code: 'ENOSPC', message, retryable: false };
    default:
      break;
  }
  const isSchemaWrong = /no such (table|column)/.test(message);
  return { ...notOutcome, code: isSchemaWrong ? 'corrupt' : 'refused', message, retryable: false };
}

/** The error that a failure stands for. */
export function fromFailure({ isOutcome, code, message, retryable }: SqliteFailure): Error {
  if (isOutcome) return new FsError(code as ErrnoName, message);
  return new MetaError(code as MetaErrorCode, message, { retryable });
}

function primaryResult(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & PRIMARY_MASK : undefined;
}
