import { withDeadline } from '../runtime/deadline.ts';
import { FileStore } from './file-store.ts';
import { type ObjectStore, StoreError } from './object-store.ts';
import { shardBucket, shardedStore } from './sharded-store.ts';
import type { DriverContext, StoreContext, StoreSpec } from './store-spec.ts';
import { withHedge } from './with-hedge.ts';
import { withLimit } from './with-limit.ts';
import { withMetrics } from './with-metrics.ts';
import { withRetry } from './with-retry.ts';
import { withTimeout } from './with-timeout.ts';

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
  const { downloadsMax, uploadsMax } = limitsOf(tuning);
  const driver = await openShards(
    spec,
    { ...context, socketsMax: downloadsMax + uploadsMax },
    signal,
  );
  return guardStore(driver, context, tuning);
}

/**
 * Makes the bucket of a volume that is not sharded. A folder is made by the first object in it.
 *
 * @throws StoreError when it cannot be made; that it is there already is no error
 */
export async function createBucket(
  spec: StoreSpec,
  context: StoreContext,
  signal: AbortSignal,
): Promise<void> {
  const storage = spec.storage.toLowerCase();
  if (storage !== 's3' && storage !== 'minio') return;
  const { openS3 } = await import('./s3/open-s3.ts');
  const store = await openS3(storage, spec, { ...context, socketsMax: 1 }, signal);
  try {
    const wait = {
      what: `making the bucket ${spec.bucket}`,
      timeoutMs: DEFAULT_TIMEOUT_MS,
      signal,
    };
    await withDeadline(context.clock, wait, (inTime) => store.createBucket(inTime));
  } finally {
    await store.close();
  }
}

/** Adds deadlines, limits, metrics, hedges and a few retries to a driver, which makes one attempt per call. */
export function guardStore(
  driver: ObjectStore,
  context: StoreContext,
  tuning: StoreTuning,
): ObjectStore {
  const { clock, metrics } = context;
  const getTimeoutMs = tuning.getTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  const putTimeoutMs = tuning.putTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  const { downloadsMax, uploadsMax } = limitsOf(tuning);
  const timeouts = { getTimeoutMs, idleTimeoutMs: getTimeoutMs, putTimeoutMs };
  const measured = withMetrics(withTimeout(driver, clock, timeouts), clock, metrics);
  // Inside of the limit: waiting for one's turn is not the store's slowness.
  const hedged = withHedge(measured, { ...context, getTimeoutMs });
  const queue = { queueMax: QUEUE_MAX, queueTimeoutMs: getTimeoutMs };
  // The limit is outside of the deadlines: waiting for one's turn is not the store's slowness.
  const limited = withLimit(hedged, { downloadsMax, uploadsMax, ...queue, clock });
  const attempts = tuning.attempts ?? DEFAULT_ATTEMPTS;
  return withRetry(limited, { ...context, attempts, backoff: BACKOFF });
}

function limitsOf(tuning: StoreTuning): { downloadsMax: number; uploadsMax: number } {
  return {
    downloadsMax: tuning.downloadsMax ?? DEFAULT_DOWNLOADS_MAX,
    uploadsMax: tuning.uploadsMax ?? DEFAULT_UPLOADS_MAX,
  };
}

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
    case 'minio': {
      // Only when needed: the SDK takes a quarter of a second and 33 MB.
      const { openS3 } = await import('./s3/open-s3.ts');
      return openS3(storage, spec, context, signal);
    }
    case 'ceph':
      throw new StoreError('bad-config', CEPH_REFUSED);
    default:
      throw new StoreError('bad-config', `storage '${spec.storage}' is not supported`);
  }
}
