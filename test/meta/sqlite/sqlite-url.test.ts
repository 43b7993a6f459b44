import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseSqliteUrl } from '../../../src/meta/sqlite/sqlite-url.ts';

describe('parseSqliteUrl', () => {
  it('takes absolute and relative paths as they are', () => {
    expect(parseSqliteUrl('sqlite3:///var/a%20b#.db')).toEqual({
      path: '/var/a%20b#.db',
      tablePrefix: 'jfs_',
    });
    expect(parseSqliteUrl('sqlite3://v.db').path).toBe(resolve('v.db'));
  });

  it('takes a table prefix and passes over other options', () => {
    const { path, tablePrefix } = parseSqliteUrl('sqlite3:///v.db?cache=shared&table_prefix=a1_b');
    expect({ path, tablePrefix }).toEqual({ path: '/v.db', tablePrefix: 'jfs_a1_b_' });
  });

  it.each(['sqlite3://', 'sqlite3:/v.db', 'sqlite3:///v?table_prefix=a"b', 'sqlite3:///a\0b'])(
    'refuses %j',
    (url) => {
      expect(() => parseSqliteUrl(url)).toThrow(expect.objectContaining({ code: 'bad-url' }));
    },
  );
});
