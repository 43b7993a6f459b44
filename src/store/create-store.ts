import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import { FileStore } from './file-store.ts';
import { type ObjectStore, StoreError } from './object-store.ts';
import { createS3Client, locate, type S3ClientOptions } from './s3/s3-client.ts';
import { type Env, parseMinioBucket, parseS3Bucket } from './s3/s3-location.ts';
import { S3Store } from './s3/s3-store.ts';
import { shardBucket, shardedStore } from './sharded-store.ts';
import { loadTlsOptions } from './tls-options.ts';
import { withLimit } from './with-limit.ts';
import { withMetrics } from './with-metrics.ts';
import { withRetry } from './with-retry.ts';
import { withTimeout } from './with-timeout.ts';

/** Where a volume's objects are: fields of its setting, or what the user gave in their place. */
export interface StoreSpec {
  /** Driver: `file`, `s3` or `minio`, in any case. */
  readonly storage: string;
  /** With `shards` > 1 a pattern with one `%d`. */
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken: string;
  /** Number of buckets, ≥ 1. */
  readonly shards: number;
}

/** What a store needs from its surroundings. */
export interface StoreContext {
  readonly env: Env;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Limits of a store; the defaults are JuiceFS's. */
export interface StoreTuning {
  /** GETs at once (`--max-downloads`), default 200. */
  readonly downloadsMax?: number;
  /** PUTs at once (`--max-uploads`), default 20. */
  readonly uploadsMax?: number;
  /** Longest silence of a GET (`--get-timeout`), default 60 000. */
  readonly getTimeoutMs?: number;
  /** Longest PUT (`--put-timeout`), default 60 000. */
  readonly putTimeoutMs?: number;
  /** Attempts per call, default 3. */
  readonly attempts?: number;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_DOWNLOADS_MAX = 200;
const DEFAULT_UPLOADS_MAX = 20;
const DEFAULT_ATTEMPTS = 3;
/** Far more than readers can ask for at once; only a leak gets here. */
const QUEUE_MAX = 10_000;
const CEPH_REFUSED =
  "storage 'ceph' (RADOS) is not supported; when the volume's objects can be reached through Ceph's " +
  'object gateway (RGW), use --storage s3 --bucket http://GATEWAY/BUCKET';
const BACKOFF = { baseMs: 100, maxMs: 2_000 };

/**
 * A volume's object store, with deadlines, limits, metrics and a few retries.
 *
 * @param signal - ends questions asked while the store is set up (where an AWS bucket is)
 * @throws StoreError (`bad-config`) when driver, bucket or certificates make no sense
 */
export async function createObjectStore(
  spec: StoreSpec,
  context: StoreContext,
  tuning: StoreTuning,
  signal: AbortSignal,
): Promise<ObjectStore> {
  const { clock, metrics } = context;
  const getTimeoutMs = tuning.getTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  const putTimeoutMs = tuning.putTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  const downloadsMax = tuning.downloadsMax ?? DEFAULT_DOWNLOADS_MAX;
  const uploadsMax = tuning.uploadsMax ?? DEFAULT_UPLOADS_MAX;
  const driver = await openShards(
    spec,
    { ...context, socketsMax: downloadsMax + uploadsMax },
    signal,
  );
  const timeouts = { getTimeoutMs, idleTimeoutMs: getTimeoutMs, putTimeoutMs };
  const measured = withMetrics(withTimeout(driver, clock, timeouts), clock, metrics);
  const queue = { queueMax: QUEUE_MAX, queueTimeoutMs: getTimeoutMs };
  // The limit is outside of the deadlines: waiting for one's turn is not the store's slowness.
  const limited = withLimit(measured, { downloadsMax, uploadsMax, ...queue, clock });
  const attempts = tuning.attempts ?? DEFAULT_ATTEMPTS;
  return withRetry(limited, { ...context, attempts, backoff: BACKOFF });
}

type DriverContext = StoreContext & { readonly socketsMax: number };

async function openShards(
  spec: StoreSpec,
  context: DriverContext,
  signal: AbortSignal,
): Promise<ObjectStore> {
  if (spec.shards <= 1) return openDriver(spec, context, signal);
  const stores: ObjectStore[] = [];
  for (let shard = 0; shard < spec.shards; shard += 1) {
    const bucket = shardBucket(spec.bucket, shard);
    stores.push(await openDriver({ ...spec, bucket }, context, signal));
  }
  return shardedStore(stores);
}

async function openDriver(
  spec: StoreSpec,
  context: DriverContext,
  signal: AbortSignal,
): Promise<ObjectStore> {
  const storage = spec.storage.toLowerCase();
  switch (storage) {
    case 'file':
      return new FileStore({ bucket: spec.bucket, random: context.random });
    case 's3':
    case 'minio':
      return openS3(storage, spec, context, signal);
    case 'ceph':
      throw new StoreError('bad-config', CEPH_REFUSED);
    default:
      throw new StoreError('bad-config', `storage '${spec.storage}' is not supported`);
  }
}

async function openS3(
  storage: 's3' | 'minio',
  spec: StoreSpec,
  context: DriverContext,
  signal: AbortSignal,
): Promise<ObjectStore> {
  const { env, socketsMax } = context;
  const parse = storage === 's3' ? parseS3Bucket : parseMinioBucket;
  const keys = storage === 's3' ? spec : minioKeys(spec, env);
  const options: S3ClientOptions = {
    keys,
    tls: await loadTlsOptions(spec.bucket),
    env,
    socketsMax,
  };
  const location = await locate(parse(spec.bucket, env), options, signal);
  const host = location.endpoint?.replace(/^.*:\/\//, '');
  return new S3Store({
    client: createS3Client(location, options),
    bucket: location.bucket,
    displayName: `${storage}://${host === undefined ? '' : `${host}/`}${location.bucket}/`,
    hasChecksums: !location.checksumDisabled,
  });
}

function minioKeys(spec: StoreSpec, env: Env): S3ClientOptions['keys'] {
  return {
    accessKey: spec.accessKey || env['MINIO_ACCESS_KEY'] || '',
    secretKey: spec.secretKey || env['MINIO_SECRET_KEY'] || '',
    sessionToken: spec.sessionToken,
  };
}
