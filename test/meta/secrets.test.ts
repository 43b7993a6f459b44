import { describe, expect, it } from 'vitest';
import { decryptSecret } from '../../src/meta/secrets.ts';

const UUID = '11111111-2222-3333-4444-555555555555';
const sealed = (hex: string) => Buffer.from(hex, 'hex').toString('base64');
const STORED = sealed('3030303030303030303030304a13ab351960cae8706b8e3a8325baa04b12e247b29e203a21');

describe('decryptSecret', () => {
  it('opens what the original client has stored', () => {
    expect(decryptSecret(UUID, STORED, 'SecretKey')).toBe('sk-secret');
    const other = '/AGh56Qbhr/zoJBDtCz7meHTdsLzrdOs+fCE2nmpefAQUyxCPA==';
    expect(decryptSecret(UUID, other, 'SecretKey')).toBe('sk-secret');
    expect(decryptSecret(UUID, '', 'SecretKey')).toBe('');
  });

  it.each([
    ['removed', 'removed'],
    ['not base64', '!!!'],
    ['too short', Buffer.alloc(27).toString('base64')],
    ['with another tag', `${STORED.slice(0, -4)}AAA=`],
  ])('refuses a secret that is %s, by its field', (_, stored) => {
    const open = () => decryptSecret(UUID, stored, 'SessionToken');
    expect(open).toThrow(expect.objectContaining({ code: 'bad-setting' }));
    expect(open).toThrow('SessionToken');
  });

  it('refuses a secret of another volume', () => {
    const uuid = UUID.replace('1', '2');
    expect(() => decryptSecret(uuid, STORED, 'SecretKey')).toThrow('SecretKey');
  });
});
