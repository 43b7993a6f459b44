import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { GetBucketLocationCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { StoreError } from '../object-store.ts';
import type { TlsOptions } from '../tls-options.ts';
import type { Env, S3Location } from './s3-location.ts';

/** Who we are; an empty access key means the SDK's default chain, `anonymous` unsigned requests. */
export interface S3Keys {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken: string;
}

/** What a client needs besides its bucket. */
export interface S3ClientOptions {
  readonly keys: S3Keys;
  readonly tls: TlsOptions;
  readonly env: Env;
  /** Connections at most; more requests wait in the agent. */
  readonly socketsMax: number;
}

const CONNECT_TIMEOUT_MS = 10_000;
const READ_BUFFER_BYTES = 256 * 1024;
const ANONYMOUS = 'anonymous';
/** JuiceFS asks these partitions in turn where a bucket is. */
const LOCATION_REGIONS = ['us-east-1', 'cn-north-1'];

/**
 * An S3 client that makes one attempt per call, signs no payload and adds no checksum of its own:
 * a GET's body is the socket's stream as it is.
 */
export function createS3Client(location: S3Location, options: S3ClientOptions): S3Client {
  const { env } = options;
  const config: S3ClientConfig = {
    region: location.region ?? 'us-east-1',
    forcePathStyle: location.pathStyle,
    tls: location.useTls,
    maxAttempts: 1,
    requestHandler: createHandler(options),
    ...checksumPolicy(env),
    ...credentialsOf(options.keys, env),
  };
  if (location.endpoint !== undefined) config.endpoint = location.endpoint;
  if (location.continueDisabled) config.expectContinueHeader = false;
  const client = new S3Client(config);
  leavePayloadUnsigned(client);
  return client;
}

/**
 * The location with its region filled in; AWS is asked when only a bucket's name is given.
 *
 * @throws StoreError (`bad-config`) when AWS does not tell
 */
export async function locate(
  location: S3Location,
  options: S3ClientOptions,
  signal: AbortSignal,
): Promise<S3Location> {
  if (location.region !== undefined) return location;
  const preferred = options.env['AWS_DEFAULT_REGION'];
  let failure: unknown;
  for (const region of preferred ? [preferred] : LOCATION_REGIONS) {
    const client = createS3Client({ ...location, region }, options);
    try {
      const command = new GetBucketLocationCommand({ Bucket: location.bucket });
      const answer = await client.send(command, { abortSignal: signal });
      return { ...location, region: answer.LocationConstraint ?? 'us-east-1' };
    } catch (error) {
      failure = error;
    } finally {
      client.destroy();
    }
  }
  const message = `cannot find the region of bucket ${location.bucket}: ${String(failure)}`;
  throw new StoreError('bad-config', message, { cause: failure });
}

function createHandler({ tls, env, socketsMax }: S3ClientOptions): NodeHttpHandler {
  const agent = {
    keepAlive: true,
    maxSockets: socketsMax,
    proxyEnv: { ...env },
    onread: readTurns(),
  };
  return new NodeHttpHandler({
    httpAgent: new HttpAgent(agent),
    httpsAgent: new HttpsAgent({ ...agent, ...tls }),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    // Deadlines are the decorators' business.
    requestTimeout: 0,
    socketTimeout: 0,
  });
}

/**
 * Sockets read into one buffer that all of them share, as much as has arrived, instead of into a new
 * one for each 64 KiB: a third less CPU per GB. The parser copies a body's bytes before the next read.
 */
function readTurns() {
  return {
    buffer: new Uint8Array(READ_BUFFER_BYTES),
    callback(this: Socket, length: number, buffer: Uint8Array): boolean {
      this.emit('data', Buffer.from(buffer.buffer, buffer.byteOffset, length));
      return true;
    },
  };
}

/** "When required", unless the environment says otherwise, which the SDK reads by itself. */
function checksumPolicy(env: Env): S3ClientConfig {
  const policy: S3ClientConfig = {};
  if (!env['AWS_REQUEST_CHECKSUM_CALCULATION']) policy.requestChecksumCalculation = 'WHEN_REQUIRED';
  if (!env['AWS_RESPONSE_CHECKSUM_VALIDATION']) policy.responseChecksumValidation = 'WHEN_REQUIRED';
  return policy;
}

function credentialsOf(keys: S3Keys, env: Env): S3ClientConfig {
  if (keys.accessKey === ANONYMOUS) {
    return {
      credentials: { accessKeyId: '', secretAccessKey: '' },
      signer: { sign: async (request) => request },
    };
  }
  const accessKeyId = keys.accessKey || env['AWS_ACCESS_KEY_ID'];
  if (!accessKeyId) return {};
  const own = keys.accessKey !== '';
  const secretAccessKey = (own ? keys.secretKey : env['AWS_SECRET_ACCESS_KEY']) ?? '';
  const sessionToken = own ? keys.sessionToken : env['AWS_SESSION_TOKEN'];
  const credentials = { accessKeyId, secretAccessKey };
  return { credentials: sessionToken ? { ...credentials, sessionToken } : credentials };
}

/** The signer takes the hash from this header instead of reading the body for it. */
function leavePayloadUnsigned(client: S3Client): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { headers: Record<string, string> };
      request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      return next(args);
    },
    { step: 'build', name: 'unsignedPayload', priority: 'low' },
  );
}
