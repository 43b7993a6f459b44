import type { EngineContext } from '../engine-context.ts';
import { MetaError } from '../engine.ts';
import { type Environment, passwordFrom } from '../password.ts';
import { isErrorReply } from './redis-errors.ts';
import type { RedisClient } from './redis-connect.ts';
import { RedisKeys } from './redis-keys.ts';
import { RedisLink, silenceMaxMs } from './redis-link.ts';
import { RedisPool } from './redis-pool.ts';
import { primaryOf } from './redis-primary.ts';
import { parseRedisUrl, type RedisUrl } from './redis-url.ts';

/** Where a password may be, beside the URL. */
const PASSWORD_VARIABLES = ['REDIS_PASSWORD', 'META_PASSWORD'];

/** What to open. */
export interface RedisOpenOptions {
  readonly url: RedisUrl;
  readonly password: string;
  readonly sentinelPassword: string;
  readonly context: EngineContext;
  /** There need not be a volume yet. */
  readonly mayBeEmpty?: boolean;
}

/** A connection that works, and the names of a volume's keys on it. */
export interface OpenRedis {
  readonly link: RedisLink;
  readonly keys: RedisKeys;
  /** With the place that it turned out to be. */
  readonly url: RedisUrl;
}

/**
 * What a metadata URL says of what to open.
 *
 * @param env - where passwords may be: `REDIS_PASSWORD`, `META_PASSWORD`, `META_PASSWORD_FILE`,
 *   `SENTINEL_PASSWORD`
 * @throws MetaError `bad-url`
 */
export function redisOptions(
  url: string,
  env: Environment,
  context: EngineContext,
): RedisOpenOptions {
  const parsed = parseRedisUrl(url);
  return {
    url: parsed,
    password: parsed.password || passwordFrom(env, PASSWORD_VARIABLES),
    sentinelPassword: env['SENTINEL_PASSWORD'] ?? '',
    context,
  };
}

/** Connections for transactions, beside the one that was opened. */
export function poolBeside({ link, keys, url }: OpenRedis, options: RedisOpenOptions): RedisPool {
  const { password, sentinelPassword, context } = options;
  return new RedisPool({
    place: (inTime) => primaryOf(url, { link, keys }, inTime),
    ...{ password, sentinelPassword, silenceMaxMs: silenceMaxMs(context) },
  });
}

/**
 * Connects. A single server may turn out to be a member of a cluster, which is then used as one.
 *
 * @throws MetaError `unavailable`, `refused`, `no-volume`; the connection is then closed again
 */
export async function openRedis(
  options: RedisOpenOptions,
  signal: AbortSignal,
): Promise<OpenRedis> {
  const { url } = options;
  const first = await connect(options, signal);
  const { place } = url;
  if (place.kind !== 'single' || !first.isCluster) return first;
  first.link.close();
  return connect(
    { ...options, url: { ...url, place: { kind: 'cluster', nodes: [place.at] } } },
    signal,
  );
}

async function connect(
  options: RedisOpenOptions,
  signal: AbortSignal,
): Promise<OpenRedis & { readonly isCluster: boolean }> {
  const link = new RedisLink(options);
  const { kind } = options.url.place;
  const keys = new RedisKeys(kind === 'cluster' ? `{${options.url.db}}` : '');
  link.open();
  try {
    const isCluster = kind === 'single' && (await link.run(DETECT, signal, belongsToCluster));
    if (!isCluster && options.mayBeEmpty !== true) await checkVolume(link, keys, signal);
    return { link, keys, isCluster, url: options.url };
  } catch (error) {
    link.close();
    throw error;
  }
}

const DETECT = { op: 'connect', target: 'server' };

async function belongsToCluster(client: RedisClient): Promise<boolean> {
  try {
    const info = await client.cluster('INFO');
    return String(info).includes('cluster_state:');
  } catch (error) {
    // A server without cluster support, or one that does not tell us.
    if (isErrorReply(error)) return false;
    throw error;
  }
}

async function checkVolume(link: RedisLink, keys: RedisKeys, signal: AbortSignal): Promise<void> {
  const name = { op: 'connect', target: keys.setting };
  const sizeBytes = await link.run(name, signal, (client) => client.strlen(keys.setting));
  if (sizeBytes === 0) throw new MetaError('no-volume', 'the database holds no volume');
}
