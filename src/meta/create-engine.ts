import type { EngineContext } from './engine-context.ts';
import { type MetaEngine, MetaError } from './engine.ts';
import type { Environment } from './password.ts';
import { RedisEngine } from './redis/redis-engine.ts';
import { SqliteEngine } from './sqlite/sqlite-engine.ts';

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
export function createMetaEngine(url: string, options: CreateEngineOptions): MetaEngine {
  const { env, deadlineMs = META_DEADLINE_MS, ...rest } = options;
  const context = { ...rest, deadlineMs };
  const scheme = /^([a-z0-9+.-]+):\/\//.exec(url)?.[1] ?? '';
  switch (scheme) {
    case 'redis':
    case 'rediss':
    case 'unix':
      return new RedisEngine(url, env, context);
    case 'sqlite3':
      return new SqliteEngine(url, context);
    default:
      throw new MetaError('bad-url', schemeProblem(scheme));
  }
}

function schemeProblem(scheme: string): string {
  if (NOT_YET.has(scheme)) {
    return `metadata URL: ${scheme}:// is not supported yet, only ${SUPPORTED}`;
  }
  const what = scheme === '' ? 'there is no scheme' : `${scheme}:// is unknown`;
  return `metadata URL: ${what}, supported are ${SUPPORTED}`;
}
