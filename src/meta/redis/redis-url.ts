import { MetaError } from '../engine.ts';

/** A server's address. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Where the servers are: one of them, a Unix socket, behind sentinels, or a cluster. */
export type RedisPlace =
  | { readonly kind: 'single'; readonly at: HostPort }
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'sentinel'; readonly group: string; readonly sentinels: readonly HostPort[] }
  | { readonly kind: 'cluster'; readonly nodes: readonly HostPort[] };

/** What the query says about TLS; files are named, not read. */
export interface TlsParameters {
  readonly skipVerify: boolean;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly caFile: string | undefined;
  readonly serverName: string | undefined;
}

/** A metadata URL of the Redis family, taken apart. */
export interface RedisUrl {
  readonly place: RedisPlace;
  readonly username: string;
  /** Empty when the URL has none. */
  readonly password: string;
  readonly db: number;
  /** Undefined without TLS. */
  readonly tls: TlsParameters | undefined;
  readonly query: ReadonlyMap<string, string>;
  /** The URL with `****` for the password. */
  readonly display: string;
}

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26379;
const DB_MAX = 2 ** 31 - 1;
const SCHEMES = ['redis', 'rediss', 'unix'];

/**
 * Takes a URL apart as JuiceFS does: `redis[s]://[user:password@]host[:port][,…]/db?…` or
 * `unix://[user:password@]/path?db=n`. Sentinels when a comma comes before the first colon (the
 * first word is then the group's name), a cluster when several hosts are named otherwise.
 *
 * @throws MetaError `bad-url`
 */
export function parseRedisUrl(url: string): RedisUrl {
  const match = /^([a-z]+):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?$/.exec(url);
  const [, scheme = '', authority = '', path = '', queryText = ''] = match ?? [];
  if (!SCHEMES.includes(scheme)) throw badUrl('it must be redis://, rediss:// or unix://');
  const at = authority.lastIndexOf('@');
  const login = parseLogin(authority.slice(0, Math.max(at, 0)));
  const hosts = authority.slice(at + 1);
  const query = parseQuery(queryText);
  const isSocket = scheme === 'unix';
  return {
    place: isSocket ? socketPlace(hosts + path) : parsePlace(hosts),
    ...login,
    db: parseDb(query.get('db') ?? (isSocket ? '' : path.slice(1))),
    tls: scheme === 'rediss' ? tlsParameters(query) : undefined,
    query,
    display: displayUrl(url, authority, at),
  };
}

function parseLogin(text: string): { username: string; password: string } {
  const colon = text.indexOf(':');
  const username = colon < 0 ? text : text.slice(0, colon);
  const password = colon < 0 ? '' : text.slice(colon + 1);
  return { username: decode(username), password: decode(password) };
}

function parsePlace(hosts: string): RedisPlace {
  const parts = hosts.split(',');
  const comma = hosts.indexOf(',');
  const colon = hosts.indexOf(':');
  if (comma < 0) return { kind: 'single', at: parseHost(hosts || 'localhost', REDIS_PORT) };
  if (colon >= 0 && colon < comma) {
    return { kind: 'cluster', nodes: parts.map((part) => parseHost(part, REDIS_PORT)) };
  }
  const [group = '', ...sentinels] = parts;
  const lastPort = /:([0-9]+)$/.exec(sentinels.at(-1) ?? '')?.[1];
  const port = lastPort === undefined ? SENTINEL_PORT : Number(lastPort);
  if (group === '') throw badUrl('the name of the sentinel group is missing');
  return { kind: 'sentinel', group, sentinels: sentinels.map((part) => parseHost(part, port)) };
}

function socketPlace(path: string): RedisPlace {
  if (path === '') throw badUrl('the path of the Unix socket is missing');
  return { kind: 'socket', path: decode(path) };
}

function parseHost(text: string, defaultPort: number): HostPort {
  const match = /^(\[[0-9a-fA-F:.%]+\]|[^:[\]]+)(?::([0-9]{0,5}))?$/.exec(text);
  const host = match?.[1]?.replace(/^\[|\]$/g, '');
  const port = match?.[2] ? Number(match[2]) : defaultPort;
  if (host === undefined || port > 65_535) throw badUrl(`"${text}" is not a host`);
  return { host, port };
}

function parseDb(text: string): number {
  if (text === '') return 0;
  const db = Number(text);
  if (!/^[0-9]{1,10}$/.test(text) || db > DB_MAX)
    throw badUrl(`"${text}" is not a database number`);
  return db;
}

/** JuiceFS takes some names with underscores too. */
function parseQuery(text: string): ReadonlyMap<string, string> {
  const pairs = [...new URLSearchParams(text)];
  return new Map(pairs.map(([name, value]) => [name.replaceAll('_', '-'), value]));
}

function tlsParameters(query: ReadonlyMap<string, string>): TlsParameters {
  return {
    skipVerify: (query.get('insecure-skip-verify') ?? '') !== '',
    certFile: query.get('tls-cert-file') || undefined,
    keyFile: query.get('tls-key-file') || undefined,
    caFile: query.get('tls-ca-cert-file') || undefined,
    serverName: query.get('tls-server-name') || undefined,
  };
}

function displayUrl(url: string, authority: string, at: number): string {
  const colon = authority.indexOf(':');
  if (at < 0 || colon < 0 || colon > at) return url;
  const start = url.indexOf(authority);
  return `${url.slice(0, start + colon + 1)}****${url.slice(start + at)}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new MetaError('bad-url', 'metadata URL: wrong percent-encoding', { cause });
  }
}

function badUrl(problem: string): MetaError {
  // Without the URL itself: it may hold a password.
  return new MetaError('bad-url', `metadata URL: ${problem}`);
}
