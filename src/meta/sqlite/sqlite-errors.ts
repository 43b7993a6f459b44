import { MetaError } from '../engine.ts';
import type { SqliteFailure } from './sqlite-protocol.ts';

/** Primary result codes. @see sqlite3.h */
const Result = {
  busy: 5,
  locked: 6,
  ioError: 10,
  corrupt: 11,
  cantOpen: 14,
  schema: 17,
  notADb: 26,
};
const PRIMARY_MASK = 0xff;

/**
 * What an error in the worker means: `corrupt` for a damaged file or a table that is not as it must
 * be, `unavailable` (retryable) for a lock or a disk that fails, `refused` for all else.
 */
export function toFailure(error: unknown): SqliteFailure {
  if (error instanceof MetaError) {
    return { code: error.code, message: error.message, retryable: error.retryable };
  }
  const message = `SQLite: ${error instanceof Error ? error.message : String(error)}`;
  switch (primaryResult(error)) {
    case Result.busy:
    case Result.locked:
    case Result.ioError:
    case Result.cantOpen:
    case Result.schema:
      return { code: 'unavailable', message, retryable: true };
    case Result.corrupt:
    case Result.notADb:
      return { code: 'corrupt', message, retryable: false };
    default:
      break;
  }
  const isSchemaWrong = /no such (table|column)/.test(message);
  return { code: isSchemaWrong ? 'corrupt' : 'refused', message, retryable: false };
}

function primaryResult(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & PRIMARY_MASK : undefined;
}
