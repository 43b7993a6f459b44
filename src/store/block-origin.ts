import assert from 'node:assert/strict';
import { type BlockKey } from '../block/block-key.ts';
import type { BlockSource, FillOptions } from '../block/block-source.ts';
import type { ByteRange } from '../block/byte-range.ts';
import { crc32cOf } from '../block/checksum.ts';
import { objectKeyOf } from '../block/object-key.ts';
import type { Clock } from '../runtime/clock.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { abortReason, sleep } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import { backoffMs } from './backoff.ts';
import type { BlockFormat } from './block-format.ts';
import { discardChunks } from './chunk-stream.ts';
import { compressedBytesMax, decompress } from './decompress.ts';
import { decryptObject, encryptionOverheadBytes } from './decrypt-object.ts';
import { type ObjectBody, type ObjectStore, StoreError } from './object-store.ts';

/** How a {@link BlockOrigin} works. */
export interface BlockOriginOptions {
  readonly store: ObjectStore;
  readonly format: BlockFormat;
  /** How often a failed block is tried again (`--io-retries`), default 10. */
  readonly ioRetries?: number;
  /** No new attempt begins after this time, default 120 000. */
  readonly giveUpAfterMs?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const DEFAULT_IO_RETRIES = 10;
const DEFAULT_GIVE_UP_AFTER_MS = 120_000;
/** Bytes may be damaged on their way; those that are damaged at rest stay so. */
const CORRUPT_RETRIES = 2;
const BACKOFF = { baseMs: 100, maxMs: 3_000 };

/**
 * The object store as a source of plain blocks.
 *
 * A byte is only reported as ready when nothing can be found wrong with it any more. So a block
 * that is stored with a checksum, compressed or encrypted is reported when all of it has come and
 * was checked; a plain block without checksum, or a range, as it comes.
 *
 * `fill` throws StoreError: `corrupt` for a block that does not decode, has another length than
 * its name says or does not match its checksum; else as the store says.
 */
export class BlockOrigin implements BlockSource {
  /** Whether a part of a block can be had alone; else `fill` must be asked for whole blocks. */
  readonly rangeable: boolean;
  readonly #options: BlockOriginOptions;
  readonly #format: BlockFormat;

  constructor(options: BlockOriginOptions) {
    const { compression, encryption } = options.format;
    this.#options = options;
    this.#format = options.format;
    this.rangeable = compression === 'none' && encryption === undefined;
  }

  async fill(
    key: BlockKey,
    range: ByteRange,
    into: Uint8Array,
    { signal, onProgress }: FillOptions,
  ): Promise<void> {
    const isWhole = range.offset === 0 && range.length === key.sizeBytes;
    assert(range.offset >= 0 && range.offset + range.length <= key.sizeBytes);
    assert(into.byteLength === range.length);
    assert(isWhole || this.rangeable, 'a part of a block that can only be had as a whole');
    const fetch: Fetch = {
      name: objectKeyOf(this.#format.naming, key),
      range: isWhole ? undefined : range,
      into,
      signal,
      progress: new Progress(onProgress),
    };
    if (range.length > 0) await this.#fillWithRetries(fetch);
  }

  async #fillWithRetries(fetch: Fetch): Promise<void> {
    const { clock, random, metrics, logger } = this.#options;
    const startMs = clock.nowMs();
    let corruptions = 0;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await (this.rangeable ? this.#stream(fetch) : this.#decode(fetch));
        return;
      } catch (error) {
        if (fetch.signal.aborted) throw abortReason(fetch.signal);
        if (!(error instanceof CodedError)) throw error;
        if (error.code === 'corrupt') {
          corruptions += 1;
          metrics.counter(CORRUPTIONS).add();
        }
        const tries = { attempt, corruptions, elapsedMs: clock.nowMs() - startMs };
        if (!this.#mayTryAgain(error, tries)) throw error;
        metrics.counter(RETRIES).add();
        const fields = { object: fetch.name, attempt, error: error.message };
        logger.warn(fields, 'block failed, trying again');
      }
      await sleep(clock, backoffMs(BACKOFF, attempt, random), fetch.signal);
    }
  }

  #mayTryAgain(
    error: CodedError,
    tries: { attempt: number; corruptions: number; elapsedMs: number },
  ): boolean {
    const { ioRetries = DEFAULT_IO_RETRIES, giveUpAfterMs = DEFAULT_GIVE_UP_AFTER_MS } =
      this.#options;
    if (tries.attempt > ioRetries || tries.elapsedMs > giveUpAfterMs) return false;
    return error.code === 'corrupt' ? tries.corruptions <= CORRUPT_RETRIES : error.retryable;
  }

  /** A new attempt goes on behind what was reported: somebody may be reading it. */
  async #stream({ name, range, into, signal, progress }: Fetch): Promise<void> {
    const from = progress.readyBytes;
    const rest = into.subarray(from);
    const wanted =
      from === 0 ? range : { offset: (range?.offset ?? 0) + from, length: rest.byteLength };
    const body = await this.#options.store.get(name, wanted, signal);
    if (body.sizeBytes !== rest.byteLength) {
      await discardChunks(body.chunks);
      throw corrupt(name, `has ${body.sizeBytes} bytes, expected ${rest.byteLength}`);
    }
    const onReady = (readyBytes: number) => progress.reach(from + readyBytes);
    // With a checksum nothing is certain before the last byte.
    await receive(
      name,
      body,
      body.crc32c === undefined ? { into: rest, signal, onReady } : { into: rest, signal },
    );
    progress.reach(into.byteLength);
  }

  async #decode({ name, into, signal, progress }: Fetch): Promise<void> {
    const body = await this.#options.store.get(name, undefined, signal);
    if (body.sizeBytes > this.#storedBytesMax(into.byteLength)) {
      await discardChunks(body.chunks);
      throw corrupt(name, `has ${body.sizeBytes} bytes, too many for ${into.byteLength}`);
    }
    const stored = new Uint8Array(body.sizeBytes);
    await receive(name, body, { into: stored, signal });
    const plain = await this.#toPlain(name, stored, into.byteLength);
    if (signal.aborted) throw abortReason(signal);
    if (plain.byteLength !== into.byteLength) {
      throw corrupt(name, `decodes to ${plain.byteLength} bytes, expected ${into.byteLength}`);
    }
    into.set(plain);
    progress.reach(into.byteLength);
  }

  async #toPlain(
    name: string,
    stored: Uint8Array<ArrayBuffer>,
    plainBytes: number,
  ): Promise<Uint8Array> {
    const { compression, encryption } = this.#format;
    try {
      const opened =
        encryption === undefined
          ? stored
          : await decryptObject(stored, encryption.dataKey, encryption.algo);
      return await decompress(compression, opened, plainBytes);
    } catch (error) {
      throw corrupt(name, `does not decode: ${(error as Error).message}`, error);
    }
  }

  #storedBytesMax(plainBytes: number): number {
    const { encryption } = this.#format;
    const overhead = encryption === undefined ? 0 : encryptionOverheadBytes(encryption.dataKey);
    return compressedBytesMax(plainBytes) + overhead;
  }
}

/** One call of `fill`. */
interface Fetch {
  readonly name: string;
  readonly range: ByteRange | undefined;
  readonly into: Uint8Array;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

/** Reads a body of the same length as `into`, and compares it with its checksum if it has one. */
async function receive(
  name: string,
  body: ObjectBody,
  {
    into,
    signal,
    onReady,
  }: Pick<Fetch, 'into' | 'signal'> & { onReady?: (readyBytes: number) => void },
): Promise<void> {
  let at = 0;
  let sum = 0;
  const onArrival = (readyBytes: number) => {
    if (body.crc32c !== undefined) sum = crc32cOf(into.subarray(at, readyBytes), sum);
    at = readyBytes;
    if (at < into.byteLength) onReady?.(at);
  };
  if (body.readInto !== undefined) {
    await body.readInto(into, onArrival);
  } else {
    for await (const chunk of body.chunks) {
      if (signal.aborted) throw abortReason(signal);
      if (at + chunk.byteLength > into.byteLength) throw corrupt(name, 'is longer than announced');
      into.set(chunk, at);
      onArrival(at + chunk.byteLength);
    }
  }
  if (at !== into.byteLength) throw corrupt(name, `ends after ${at} of ${into.byteLength} bytes`);
  if (body.crc32c !== undefined && sum !== body.crc32c) {
    throw corrupt(name, `has checksum ${sum}, expected ${body.crc32c}`);
  }
}

/** How far a block has come, over all attempts. */
class Progress {
  /** Leading bytes that are final. */
  readyBytes = 0;
  readonly #report: ((readyBytes: number) => void) | undefined;

  constructor(report: ((readyBytes: number) => void) | undefined) {
    this.#report = report;
  }

  reach(readyBytes: number): void {
    if (readyBytes <= this.readyBytes) return;
    this.readyBytes = readyBytes;
    this.#report?.(readyBytes);
  }
}

function corrupt(name: string, why: string, cause?: unknown): StoreError {
  return new StoreError('corrupt', `object ${name} ${why}`, { cause });
}

const RETRIES = {
  name: 'origin_block_retries',
  help: 'Blocks that were asked for again at the object store after a failure.',
};
const CORRUPTIONS = {
  name: 'origin_block_corrupt',
  help: 'Times a block came from the object store with wrong bytes.',
};
