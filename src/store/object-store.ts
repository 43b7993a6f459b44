import type { ByteRange } from '../block/byte-range.ts';
import { CodedError } from '../runtime/coded-error.ts';

/**
 * Why an object store failed. `not-found`: there is no such object; `denied`: credentials;
 * `unavailable`: no answer, or one that says "later"; `corrupt`: bytes that do not decode, do not
 * match their checksum or have the wrong length; `bad-config`: bucket or keys make no sense.
 */
export type StoreErrorCode = 'not-found' | 'denied' | 'unavailable' | 'corrupt' | 'bad-config';

/** An object could not be read or written; the message names it. */
export class StoreError extends CodedError<StoreErrorCode> {}

/**
 * Reads a whole body straight into memory of its length; an alternative to reading its chunks.
 *
 * @param into - `sizeBytes` long; nothing is written to it any more once the promise has settled
 * @param onReady - told how many leading bytes of `into` are there, each time more have come
 * @throws StoreError; the signal's reason when the GET was aborted. The connection is then free
 */
export type ReadInto = (into: Uint8Array, onReady: (readyBytes: number) => void) => Promise<void>;

/** Bytes of an object on their way. */
export interface ObjectBody {
  /** Number of bytes that `chunks` yields. */
  readonly sizeBytes: number;
  /** CRC-32C of the whole object, when the store keeps one and the whole object was asked for. */
  readonly crc32c: number | undefined;
  /** Must be read to its end, or left by `return()` (leaving a `for await`), which frees the connection. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Of stores that can do so, for as long as no chunk was asked for: no chunk by chunk, no copy. */
  readonly readInto?: ReadInto | undefined;
}

/** What is known of an object. */
export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
}

/**
 * Where a volume's objects are. Keys are full keys, `<volume>/chunks/…`. Calls are idempotent and
 * make one attempt; time-outs, retries, limits and metrics are decorators of this same interface.
 */
export interface ObjectStore {
  /** For logs: driver, endpoint and bucket, no secrets. */
  readonly displayName: string;
  /**
   * @param range - undefined for the whole object; a range must lie inside the object
   * @throws StoreError; the signal's reason when aborted
   */
  get(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<ObjectBody>;
  /** @returns undefined when there is no such object */
  head(key: string, signal: AbortSignal): Promise<ObjectInfo | undefined>;
  put(key: string, body: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Deleting what is not there is success. */
  delete(key: string, signal: AbortSignal): Promise<void>;
  /** Objects whose keys begin with `prefix`, by key. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<ObjectInfo>;
  /** Frees connections. */
  close(): Promise<void>;
}
