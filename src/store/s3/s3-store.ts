import type { IncomingMessage } from 'node:http';
import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { ByteRange } from '../../block/byte-range.ts';
import { crc32cOf } from '../../block/checksum.ts';
import { type ObjectBody, type ObjectInfo, type ObjectStore, StoreError } from '../object-store.ts';
import { bodyChunks } from './body-chunks.ts';
import type { DirectGet } from './direct-get.ts';
import { rangeHeader } from './get-requests.ts';
import { toStoreError } from './s3-error.ts';

/** Name of the user metadata (`x-amz-meta-…`) by which JuiceFS keeps an object's checksum. */
const CHECKSUM_METADATA = 'crc32c';
/** The one that a new bucket is in when nothing is said. */
const DEFAULT_REGION = 'us-east-1';
const UINT32 = /^(0|[1-9][0-9]{0,9})$/;
/** @see RFC 9110, section 14.4 */
const CONTENT_RANGE = /^bytes +([0-9]{1,15})-([0-9]{1,15})\//i;

/** Objects in a bucket of S3, or of a service that speaks its protocol. */
export class S3Store implements ObjectStore {
  readonly displayName: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #region: string | undefined;
  readonly #hasChecksums: boolean;
  readonly #direct: DirectGet | undefined;

  /**
   * @param options - `client`: makes one attempt per call, and is destroyed by {@link close};
   *   `hasChecksums`: write and report the CRC-32C in each object's metadata; `direct`: for GETs,
   *   without it the client makes them, too
   */
  constructor(options: {
    client: S3Client;
    bucket: string;
    /** Where it is; undefined for the default region. */
    region?: string | undefined;
    displayName: string;
    hasChecksums: boolean;
    direct?: DirectGet | undefined;
  }) {
    this.#client = options.client;
    this.#bucket = options.bucket;
    this.#region = options.region;
    this.displayName = options.displayName;
    this.#hasChecksums = options.hasChecksums;
    this.#direct = options.direct;
  }

  async get(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<ObjectBody> {
    const what = `GET ${key}`;
    const direct = await this.#attempt(what, signal, async () =>
      this.#direct?.get(key, range, signal),
    );
    if (direct === undefined) return this.#getBySdk(key, range, signal);
    const { headers, bodyBytes } = direct.head;
    const contentRange = headers.get('content-range');
    if (!isRightSize(bodyBytes, range) || !isRightPart(contentRange, range)) {
      direct.leave();
      throw wrongPart(what, { sizeBytes: bodyBytes, contentRange }, range);
    }
    return {
      sizeBytes: bodyBytes,
      crc32c: this.#checksumOf(headers.get(`x-amz-meta-${CHECKSUM_METADATA}`), range),
      ...direct.body(bodyBytes),
    };
  }

  async #getBySdk(
    key: string,
    range: ByteRange | undefined,
    signal: AbortSignal,
  ): Promise<ObjectBody> {
    const what = `GET ${key}`;
    const input = { Bucket: this.#bucket, Key: key };
    const command = new GetObjectCommand(
      range === undefined ? input : { ...input, Range: rangeHeader(range) },
    );
    const answer = await this.#attempt(what, signal, () =>
      this.#client.send(command, { abortSignal: signal }),
    );
    const stream = answer.Body as IncomingMessage;
    const { ContentLength: sizeBytes, ContentRange: contentRange } = answer;
    if (!isRightSize(sizeBytes, range) || !isRightPart(contentRange, range)) {
      stream.destroy();
      throw wrongPart(what, { sizeBytes, contentRange }, range);
    }
    return {
      sizeBytes,
      crc32c: this.#checksumOf(answer.Metadata?.[CHECKSUM_METADATA], range),
      chunks: bodyChunks(stream, { what, signal }),
    };
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectInfo | undefined> {
    const command = new HeadObjectCommand({ Bucket: this.#bucket, Key: key });
    try {
      const answer = await this.#attempt(`HEAD ${key}`, signal, () =>
        this.#client.send(command, { abortSignal: signal }),
      );
      return toInfo(key, answer.ContentLength, answer.LastModified);
    } catch (error) {
      if (error instanceof StoreError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  async put(key: string, body: Uint8Array, signal: AbortSignal): Promise<void> {
    const command = new PutObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      Body: body,
      ContentType: 'application/octet-stream',
      ...(this.#hasChecksums && { Metadata: { [CHECKSUM_METADATA]: String(crc32cOf(body)) } }),
    });
    await this.#attempt(`PUT ${key}`, signal, () =>
      this.#client.send(command, { abortSignal: signal }),
    );
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: this.#bucket, Key: key });
    try {
      await this.#attempt(`DELETE ${key}`, signal, () =>
        this.#client.send(command, { abortSignal: signal }),
      );
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'not-found')) throw error;
    }
  }

  async *list(prefix: string, signal: AbortSignal): AsyncIterable<ObjectInfo> {
    const input = { Bucket: this.#bucket, Prefix: prefix, EncodingType: 'url' as const };
    let token: string | undefined;
    do {
      const command = new ListObjectsV2Command(
        token === undefined ? input : { ...input, ContinuationToken: token },
      );
      const page = await this.#attempt(`LIST ${prefix}`, signal, () =>
        this.#client.send(command, { abortSignal: signal }),
      );
      for (const item of page.Contents ?? []) {
        yield toInfo(decodeKey(item.Key ?? ''), item.Size, item.LastModified);
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  /** Makes the bucket; that it is there and ours is success. @throws StoreError */
  async createBucket(signal: AbortSignal): Promise<void> {
    const isElsewhere = this.#region !== undefined && this.#region !== DEFAULT_REGION;
    const place = { LocationConstraint: this.#region as BucketLocationConstraint };
    const command = new CreateBucketCommand({
      Bucket: this.#bucket,
      ...(isElsewhere && { CreateBucketConfiguration: place }),
    });
    await this.#attempt(`making the bucket ${this.#bucket}`, signal, async () => {
      try {
        await this.#client.send(command, { abortSignal: signal });
      } catch (error) {
        if ((error as Error).name !== 'BucketAlreadyOwnedByYou') throw error;
      }
    });
  }

  close(): Promise<void> {
    this.#direct?.close();
    this.#client.destroy();
    return Promise.resolve();
  }

  /** That of the whole object says nothing of a part. */
  #checksumOf(text: string | undefined, range: ByteRange | undefined): number | undefined {
    return range === undefined && this.#hasChecksums ? parseChecksum(text) : undefined;
  }

  async #attempt<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      throw toStoreError(what, error, signal);
    }
  }
}

function isRightSize(
  sizeBytes: number | undefined,
  range: ByteRange | undefined,
): sizeBytes is number {
  return sizeBytes !== undefined && (range === undefined || sizeBytes === range.length);
}

/**
 * Whether an answer has the asked part. One that does not say which part it has is the whole object: a
 * server, or a cache before it, that does not heed ranges.
 */
function isRightPart(contentRange: string | undefined, range: ByteRange | undefined): boolean {
  if (range === undefined) return true;
  if (contentRange === undefined) return range.offset === 0;
  const [, first, last] = CONTENT_RANGE.exec(contentRange) ?? [];
  return Number(first) === range.offset && Number(last) === range.offset + range.length - 1;
}

function wrongPart(
  what: string,
  answer: { sizeBytes: number | undefined; contentRange: string | undefined },
  range: ByteRange | undefined,
): StoreError {
  const { sizeBytes = 'an unknown number of', contentRange } = answer;
  const asked = range === undefined ? 'all of it' : rangeHeader(range);
  const part = contentRange === undefined ? '' : ` (${contentRange})`;
  const message = `${what}: the answer has ${sizeBytes} bytes${part}, ${asked} was asked for`;
  return new StoreError('corrupt', message);
}

/** Text that is not a number is no checksum, as for JuiceFS. */
function parseChecksum(text: string | undefined): number | undefined {
  return text !== undefined && UINT32.test(text) ? Number(text) : undefined;
}

/** Listings are asked for in URL encoding, because XML cannot carry every key. */
function decodeKey(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}

function toInfo(key: string, sizeBytes = 0, modifiedAt?: Date): ObjectInfo {
  return { key, sizeBytes, modifiedAtMs: modifiedAt?.getTime() ?? 0 };
}
