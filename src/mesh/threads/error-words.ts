import { PeerError, ReferralError } from '../../peer/block-exchange.ts';
import type { ErrorWords } from './serve-messages.ts';

/** An error as plain words, because its class does not survive the way to another thread. */
export function wordsOf(error: unknown): ErrorWords {
  return {
    message: error instanceof Error ? error.message : String(error),
    code: error instanceof PeerError ? error.code : undefined,
    holders: error instanceof ReferralError ? error.holders : undefined,
  };
}

/** The inverse of {@link wordsOf}, as far as peers are told about it. */
export function errorFrom({ message, code, holders }: ErrorWords): Error {
  if (holders !== undefined) return new ReferralError(message, holders);
  return code === undefined ? new Error(message) : new PeerError(code, message);
}
