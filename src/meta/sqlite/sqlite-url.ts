import { resolve } from 'node:path';
import { MetaError } from '../engine.ts';

/** A metadata URL of SQLite, taken apart. */
export interface SqliteUrl {
  /** Absolute path of the database file. */
  readonly path: string;
  /** What the names of all tables begin with: `jfs_`, or `jfs_abc_`. */
  readonly tablePrefix: string;
}

/** It goes into statements as it is. */
const TABLE_PREFIX = /^[A-Za-z0-9_]{0,64}$/;

/**
 * Takes `sqlite3://PATH[?table_prefix=abc]` apart. The original client hands other options to its
 * driver; they tune it and mean nothing here.
 *
 * @throws MetaError `bad-url`
 */
export function parseSqliteUrl(url: string): SqliteUrl {
  const match = /^sqlite3:\/\/([^?]+)(?:\?(.*))?$/s.exec(url);
  const path = match?.[1];
  if (path === undefined || path.includes('\0')) {
    throw new MetaError('bad-url', 'metadata URL: it must be sqlite3://PATH');
  }
  const prefix = new URLSearchParams(match?.[2] ?? '').get('table_prefix') ?? '';
  if (!TABLE_PREFIX.test(prefix)) {
    throw new MetaError('bad-url', `metadata URL: "${prefix}" is not a table prefix`);
  }
  return { path: resolve(path), tablePrefix: prefix === '' ? 'jfs_' : `jfs_${prefix}_` };
}
