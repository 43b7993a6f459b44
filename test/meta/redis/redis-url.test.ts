import { describe, expect, it } from 'vitest';
import { parseRedisUrl } from '../../../src/meta/redis/redis-url.ts';

const at = (host: string, port: number) => ({ host, port });

describe('parseRedisUrl', () => {
  it.each([
    ['redis://h', { kind: 'single', at: at('h', 6379) }, 0],
    ['redis://', { kind: 'single', at: at('localhost', 6379) }, 0],
    ['redis://h:1/', { kind: 'single', at: at('h', 1) }, 0],
    ['redis://h:1/2', { kind: 'single', at: at('h', 1) }, 2],
    ['redis://h:1/?db=3', { kind: 'single', at: at('h', 1) }, 3],
    ['redis://[::1]:7/1', { kind: 'single', at: at('::1', 7) }, 1],
    ['unix:///run/r.sock?db=4', { kind: 'socket', path: '/run/r.sock' }, 4],
    ['unix://:pw@/run/r.sock', { kind: 'socket', path: '/run/r.sock' }, 0],
    [
      'redis://h1:1,h2:2,h3/5',
      { kind: 'cluster', nodes: [at('h1', 1), at('h2', 2), at('h3', 6379)] },
      5,
    ],
    ['redis://g,s1/0', { kind: 'sentinel', group: 'g', sentinels: [at('s1', 26379)] }, 0],
    [
      'redis://:pw@g,s1,s2:7/6',
      { kind: 'sentinel', group: 'g', sentinels: [at('s1', 7), at('s2', 7)] },
      6,
    ],
    [
      'redis://g,s1:1,s2:2/6',
      { kind: 'sentinel', group: 'g', sentinels: [at('s1', 1), at('s2', 2)] },
      6,
    ],
  ])('%s', (url, place, db) => {
    expect(parseRedisUrl(url)).toMatchObject({ place, db });
  });

  it('takes users and passwords, percent-encoded, and hides passwords', () => {
    const url = parseRedisUrl('redis://us%40er:p%3Aw%2F@h:1/0?x=y');
    expect(url).toMatchObject({ username: 'us@er', password: 'p:w/' });
    expect(url.display).toBe('redis://us%40er:****@h:1/0?x=y');
    expect(parseRedisUrl('redis://:a@b:c@h').display).toBe('redis://:****@h');
    expect(parseRedisUrl('redis://:a@b:c@h').password).toBe('a@b:c');
    expect(parseRedisUrl('redis://user@h')).toMatchObject({ username: 'user', password: '' });
    expect(parseRedisUrl('redis://h:1').display).toBe('redis://h:1');
  });

  it('reads what concerns TLS', () => {
    expect(parseRedisUrl('redis://h?tls-cert-file=c').tls).toBeUndefined();
    const query = 'tls-cert-file=c&tls_key_file=k&tls-ca-cert-file=a&tls-server-name=n';
    expect(parseRedisUrl(`rediss://h?insecure-skip-verify=1&${query}`).tls).toEqual({
      skipVerify: true,
      certFile: 'c',
      keyFile: 'k',
      caFile: 'a',
      serverName: 'n',
    });
  });

  it.each([
    'http://h',
    'redis:h',
    'redis://h:x',
    'redis://h:99999',
    'redis://h/x',
    'redis://h/-1',
    'redis://h/99999999999',
    'redis://%zz@h',
    'redis://,s1',
    'unix://',
  ])('refuses %s', (url) => {
    expect(() => parseRedisUrl(url)).toThrow(expect.objectContaining({ code: 'bad-url' }));
  });

  it('keeps passwords out of its errors', () => {
    expect(() => parseRedisUrl('redis://:secret@h:x')).toThrow(/^((?!secret).)*$/);
  });
});
