import { CodedError } from '../runtime/coded-error.ts';

/** `damaged`: not the bytes that were written; `unreadable`: the disk does not deliver; `closed`: stopped. */
export type CacheErrorCode = 'damaged' | 'unreadable' | 'closed';

/** A cached block cannot be read; it is dropped from the cache. */
export class CacheError extends CodedError<CacheErrorCode> {}

/** The system's name for why a call failed (`ENOENT`, …), or `deadline`, or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Errors that are the process's own shortage, and neither the disk's fault nor the file's. */
const OWN_SHORTAGE = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/** Whether the process has too little of something for the call. */
export function isOwnShortage(error: unknown): boolean {
  return OWN_SHORTAGE.has(systemCode(error) ?? '');
}
