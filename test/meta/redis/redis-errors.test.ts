import { ReplyError } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { isLoginRefusal, toMetaError } from '../../../src/meta/redis/redis-errors.ts';

const reply = (message: string): Error => new ReplyError(message);

describe('toMetaError', () => {
  it.each([
    'LOADING Redis is loading the dataset in memory',
    'READONLY You can not write against a read only replica.',
    'CLUSTERDOWN The cluster is down',
    'MOVED 1 127.0.0.1:1',
    'ERR max number of clients reached',
  ])('takes %s for something that passes', (message) => {
    expect(toMetaError(reply(message))).toMatchObject({ code: 'unavailable', retryable: true });
  });

  it('takes what the library says for something that passes', () => {
    const error = toMetaError(new Error('Connection is closed.'));
    expect(error).toMatchObject({ code: 'unavailable', retryable: true });
  });

  it('tells a wrong type from a refusal', () => {
    const wrong = 'WRONGTYPE Operation against a key holding the wrong kind of value';
    expect(toMetaError(reply(wrong))).toMatchObject({ code: 'corrupt', retryable: false });
    expect(toMetaError(reply('NOPERM no'))).toMatchObject({ code: 'refused', retryable: false });
  });
});

it('isLoginRefusal knows what only another URL can cure', () => {
  const refusals = [
    'WRONGPASS invalid username-password pair or user is disabled.',
    'NOAUTH Authentication required.',
    'ERR DB index is out of range',
    'ERR invalid password',
  ];
  expect(refusals.every((message) => isLoginRefusal(reply(message)))).toBe(true);
  expect(isLoginRefusal(reply('LOADING x'))).toBe(false);
  expect(isLoginRefusal(new Error('WRONGPASS'))).toBe(false);
});
