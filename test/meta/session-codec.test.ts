import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeSessionInfo, encodeSessionInfo } from '../../src/meta/session-codec.ts';

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const STOCK = {
  Version: '1.4.1+2026-07-30.0b90c7d',
  HostName: 'host',
  MountPoint: '/mnt/x',
  MountTime: '2026-08-01T00:00:00.000000000Z',
  ProcessID: 123,
};
const MEMBER = {
  Group: 'g',
  PeerId: 'p',
  Addrs: ['/ip4/1.2.3.4/tcp/5'],
  Weight: 1,
  NoSharing: true,
};

describe('session JSON', () => {
  it('of other clients and of ours comes back as it was', () => {
    const ours = { ...STOCK, IPAddrs: ['192.0.2.1'], CacheMesh: MEMBER };
    expect(decodeSessionInfo(bytes(STOCK))).toEqual(STOCK);
    expect(decodeSessionInfo(encodeSessionInfo(ours))).toEqual(ours);
  });

  it('loses fields that are unknown or of a wrong type', () => {
    const odd = { ...STOCK, ProcessID: '7', IPAddrs: [1], MountPoint: null, Extra: {} };
    expect(decodeSessionInfo(bytes(odd))).toEqual({ ...STOCK, ProcessID: 0, MountPoint: '' });
  });

  it.each([
    { ...MEMBER, Group: 1 },
    { ...MEMBER, PeerId: '' },
    { ...MEMBER, Addrs: 'x' },
    { ...MEMBER, Addrs: [1] },
    { ...MEMBER, Weight: 1001 },
    { ...MEMBER, Weight: -1 },
    { ...MEMBER, NoSharing: undefined },
    'member',
    null,
  ])('with a malformed member has none: %j', (CacheMesh) => {
    expect(decodeSessionInfo(bytes({ ...STOCK, CacheMesh }))).toEqual(STOCK);
  });

  it('is none when it is no object', () => {
    for (const value of [null, 1, 'x', []]) expect(decodeSessionInfo(bytes(value))).toBeUndefined();
    expect(decodeSessionInfo(new Uint8Array([0xff, 0x7b]))).toBeUndefined();
    fc.assert(
      fc.property(fc.json(), (json) => void decodeSessionInfo(new TextEncoder().encode(json))),
    );
  });
});
