import type { EngineContext } from './engine-context.ts';
import { MetaError } from './engine.ts';
import type { Environment } from './password.ts';
import { RedisEngine } from './redis/redis-engine.ts';
import { RedisLoader } from './redis/redis-loader.ts';
import { RedisSetting } from './redis/redis-setting.ts';
import type { SettingStore } from './setting-store.ts';
import { SqliteEngine } from './sqlite/sqlite-engine.ts';
import { SqliteLoader } from './sqlite/sqlite-loader.ts';
import { SqliteSetting } from './sqlite/sqlite-setting.ts';
import type { VolumeLoader } from './volume-loader.ts';
import type { WritableEngine } from './writable-engine.ts';

/** Longest time of one metadata call, retries included, unless told otherwise. */
export const META_DEADLINE_MS = 10_000;

/** What an engine is given; `env` holds passwords that are not in the URL. */
export interface CreateEngineOptions extends Omit<EngineContext, 'deadlineMs'> {
  readonly env: Environment;
  /** {@link META_DEADLINE_MS} unless given. */
  readonly deadlineMs?: number;
}

const SUPPORTED = 'redis://, rediss://, unix://, sqlite3://';
/** Engines of the original client that we lack. */
const NOT_YET = new Set(['mysql', 'postgres', 'tikv', 'etcd', 'fdb', 'badger', 'memkv']);

/**
 * Makes the engine for a metadata URL; `start` connects it.
 *
 * @throws MetaError `bad-url`
 */
export function createMetaEngine(url: string, options: CreateEngineOptions): WritableEngine {
  const { env, deadlineMs = META_DEADLINE_MS, ...rest } = options;
  const context = { ...rest, deadlineMs };
  return familyOf(url) === 'redis'
    ? new RedisEngine(url, env, context)
    : new SqliteEngine(url, context);
}

/**
 * Makes what reads and writes the setting alone, also where there is no volume yet.
 *
 * @throws MetaError `bad-url`
 */
export function createSettingStore(url: string, options: CreateEngineOptions): SettingStore {
  const { env, deadlineMs = META_DEADLINE_MS, ...rest } = options;
  const context = { ...rest, deadlineMs };
  return familyOf(url) === 'redis'
    ? new RedisSetting(url, env, context)
    : new SqliteSetting(url, context);
}

/**
 * Makes what makes a volume from a dump in an empty database.
 *
 * @throws MetaError `bad-url`
 */
export function createVolumeLoader(url: string, options: CreateEngineOptions): VolumeLoader {
  const { env, deadlineMs = META_DEADLINE_MS, ...rest } = options;
  return familyOf(url) === 'redis'
    ? new RedisLoader(url, env, { ...rest, deadlineMs })
    : new SqliteLoader(url);
}

function familyOf(url: string): 'redis' | 'sqlite' {
  const scheme = /^([a-z0-9+.-]+):\/\//.exec(url)?.[1] ?? '';
  if (['redis', 'rediss', 'unix'].includes(scheme)) return 'redis';
  if (scheme === 'sqlite3') return 'sqlite';
  throw new MetaError('bad-url', schemeProblem(scheme));
}

function schemeProblem(scheme: string): string {
  if (NOT_YET.has(scheme)) {
    return `metadata URL: ${scheme}:// is not supported yet, only ${SUPPORTED}`;
  }
  const what = scheme === '' ? 'there is no scheme' : `${scheme}:// is unknown`;
  return `metadata URL: ${what}, supported are ${SUPPORTED}`;
}
