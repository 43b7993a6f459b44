import { S3ServiceException } from '@aws-sdk/client-s3';
import { abortReason } from '../../runtime/deadline.ts';
import { StoreError, type StoreErrorCode } from '../object-store.ts';

const CODE_BY_NAME: Readonly<Record<string, StoreErrorCode>> = {
  NoSuchKey: 'not-found',
  NotFound: 'not-found',
  NoSuchBucket: 'bad-config',
  PermanentRedirect: 'bad-config',
  AuthorizationHeaderMalformed: 'bad-config',
  InvalidBucketName: 'bad-config',
  AccessDenied: 'denied',
  InvalidAccessKeyId: 'denied',
  SignatureDoesNotMatch: 'denied',
  ExpiredToken: 'denied',
  InvalidToken: 'denied',
  RequestTimeTooSkewed: 'denied',
  CredentialsProviderError: 'denied',
  InvalidRange: 'corrupt',
  RequestTimeout: 'unavailable',
  SlowDown: 'unavailable',
};

/** Our clock is wrong: when the SDK asks it learns from the answer by how much, and the next request is right. */
export const SKEWED = 'RequestTimeTooSkewed';

/**
 * Turns what the SDK throws into a StoreError that names the object.
 *
 * @returns the signal's reason when that is why it failed
 */
export function toStoreError(what: string, error: unknown, signal: AbortSignal): Error {
  if (signal.aborted) return abortReason(signal);
  if (error instanceof StoreError) return error;
  const code = codeOf(error);
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const isSkewed = error instanceof Error && error.name === SKEWED;
  const retryable = code === 'unavailable' || isSkewed;
  return new StoreError(code, `${what}: ${text}`, { cause: error, retryable });
}

function codeOf(error: unknown): StoreErrorCode {
  const known = error instanceof Error ? CODE_BY_NAME[error.name] : undefined;
  if (known !== undefined) return known;
  // No answer at all: refused, reset, unknown host, broken off.
  if (!(error instanceof S3ServiceException)) return 'unavailable';
  const status = error.$metadata.httpStatusCode ?? 500;
  if (status === 404) return 'not-found';
  if (status === 401 || status === 403) return 'denied';
  if (status === 416) return 'corrupt';
  return status >= 500 || status === 408 || status === 429 ? 'unavailable' : 'bad-config';
}
