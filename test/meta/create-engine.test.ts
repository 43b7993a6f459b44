import { describe, expect, it } from 'vitest';
import { testEngine } from '../contract/meta-engine-options.ts';

const badUrl = (text: string) =>
  expect.objectContaining({ code: 'bad-url', message: expect.stringContaining(text) });

describe('createMetaEngine', () => {
  it.each([
    ['redis://user:secret@h/1', 'redis://user:****@h/1'],
    ['rediss://h', 'rediss://h'],
    ['unix:///r.sock', 'unix:///r.sock'],
    ['sqlite3:///v.db', 'sqlite3:///v.db'],
  ])('makes an engine for %s', (url, display) => {
    expect(testEngine(url).displayUrl).toBe(display);
  });

  it.each(['mysql', 'postgres', 'tikv', 'etcd', 'badger', 'fdb'])(
    'says that %s is not supported yet',
    (scheme) => {
      expect(() => testEngine(`${scheme}://h/x`)).toThrow(badUrl('not supported yet'));
    },
  );

  it.each(['http://h', 'h:6379', ''])('lists what there is for %j', (url) => {
    expect(() => testEngine(url)).toThrow(badUrl('redis://, rediss://, unix://, sqlite3://'));
  });

  it('names a password file that cannot be read', () => {
    const env = { META_PASSWORD_FILE: '/no/such/file' };
    expect(() => testEngine('redis://h', { env })).toThrow(badUrl('/no/such/file'));
  });
});
