import { withDeadline } from '../../runtime/deadline.ts';
import type { DriverContext, StoreSpec } from '../store-spec.ts';
import { loadTlsOptions } from '../tls-options.ts';
import { DirectGet } from './direct-get.ts';
import { createS3Client, locate, type S3ClientOptions } from './s3-client.ts';
import { type Env, parseMinioBucket, parseS3Bucket } from './s3-location.ts';
import { S3Store } from './s3-store.ts';

/** Buckets of S3 Express, which ask for keys of their own. */
const DIRECTORY_BUCKET = /--x-s3$/;
/** For asking AWS where a bucket is, all partitions together. */
const LOCATE_TIMEOUT_MS = 30_000;

/**
 * Opens one bucket.
 *
 * @throws StoreError `bad-config`; what locating the bucket meets, DeadlineError when that takes too
 *   long; the signal's reason when aborted
 */
export async function openS3(
  storage: 's3' | 'minio',
  spec: StoreSpec,
  context: DriverContext,
  signal: AbortSignal,
): Promise<S3Store> {
  const { env, socketsMax, clock } = context;
  const parse = storage === 's3' ? parseS3Bucket : parseMinioBucket;
  const keys = storage === 's3' ? spec : minioKeys(spec, env);
  const options: S3ClientOptions = {
    keys,
    tls: await loadTlsOptions(spec.bucket),
    env,
    socketsMax,
  };
  const place = parse(spec.bucket, env);
  const wait = { what: `finding bucket ${place.bucket}`, timeoutMs: LOCATE_TIMEOUT_MS, signal };
  const location = await withDeadline(clock, wait, (own) => locate(place, options, own));
  const host = location.endpoint?.replace(/^.*:\/\//, '');
  const client = createS3Client(location, options);
  const { bucket } = location;
  const direct = { client, bucket, clock, tls: options.tls, socketsMax };
  return new S3Store({
    client,
    bucket,
    direct: isBehindProxy(env) || DIRECTORY_BUCKET.test(bucket) ? undefined : new DirectGet(direct),
    region: location.region,
    displayName: `${storage}://${host === undefined ? '' : `${host}/`}${location.bucket}/`,
    hasChecksums: !location.checksumDisabled,
  });
}

/** The SDK's agents know how to ask a proxy; other variables of this kind they do not heed. */
function isBehindProxy(env: Env): boolean {
  const names = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'];
  return names.some((name) => (env[name] ?? '') !== '');
}

function minioKeys(spec: StoreSpec, env: Env): S3ClientOptions['keys'] {
  return {
    accessKey: spec.accessKey || env['MINIO_ACCESS_KEY'] || '',
    secretKey: spec.secretKey || env['MINIO_SECRET_KEY'] || '',
    sessionToken: spec.sessionToken,
  };
}
