import { MetaError } from '../engine.ts';

/** First words of error replies that say "later" or "elsewhere". */
const RETRY_WORDS = new Set([
  'LOADING',
  'READONLY',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'MOVED',
  'ASK',
  'MASTERDOWN',
  'BUSY',
  'UNBLOCKED',
  'NOREPLICAS',
  'EXECABORT',
]);
const RETRY_REPLIES = /^ERR (max number of clients reached|DISABLE|NOWRITE|NOREAD)/;
const LOGIN_REPLIES =
  /^(NOAUTH|WRONGPASS|NOPERM)|^ERR (invalid password|AUTH |DB index|.*password)/;

/** Whether the server itself answered with an error, in contrast to a connection that failed. */
export function isErrorReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** Whether the server will never let us in with this user, password or database. */
export function isLoginRefusal(error: unknown): boolean {
  return isErrorReply(error) && LOGIN_REPLIES.test(error.message);
}

/**
 * What an error of the client library means to callers: `corrupt` for a key of a wrong type,
 * `refused` for any other final answer, `unavailable` (retryable) for all else.
 */
export function toMetaError(error: unknown): MetaError {
  if (error instanceof MetaError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const options = { cause: error };
  if (!isErrorReply(error) || mayWorkLater(message)) {
    return new MetaError('unavailable', `Redis: ${message}`, { ...options, retryable: true });
  }
  if (message.includes('WRONGTYPE')) {
    return new MetaError('corrupt', 'Redis: a key has the wrong type', options);
  }
  return new MetaError('refused', `Redis: ${message}`, options);
}

function mayWorkLater(message: string): boolean {
  return RETRY_WORDS.has(message.split(' ', 1)[0] ?? '') || RETRY_REPLIES.test(message);
}
