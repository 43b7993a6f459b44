import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ClientVersion,
  compareClientVersions,
  parseClientVersion,
} from '../../src/meta/client-version.ts';

const parsed = (text: string): ClientVersion => {
  const version = parseClientVersion(text);
  if (version === undefined) throw new Error(`${text} is not a version`);
  return version;
};

describe('parseClientVersion', () => {
  it('takes numbers, pre-release and build apart', () => {
    expect(parsed('1.4.1+2026-07-30.0b90c7d')).toEqual(parsed('1.4.1'));
    expect(parsed('1.2.0-beta1+x-y')).toMatchObject({ minor: 2n, preRelease: 'beta1' });
    expect(parsed('2')).toMatchObject({ major: 2n, minor: 0n, patch: 0n, preRelease: '' });
  });

  it.each(['', 'x', '1.2.3.4', '1..2', '-1', '1.2.x', '1,2', ' 1'])('refuses %j', (text) => {
    expect(parseClientVersion(text)).toBeUndefined();
  });
});

describe('compareClientVersions', () => {
  it('puts versions in the order that volumes mean', () => {
    const ascending = [
      '1.1.0-A',
      '1.1.0-beta1',
      '1.1.0-beta2',
      '1.1.0',
      '1.1.1',
      '1.4.1',
      '1.10.0',
    ];
    const shuffled = [...ascending].reverse().map(parsed);
    const sorted = shuffled.toSorted(compareClientVersions);
    expect(sorted).toEqual(ascending.map(parsed));
  });

  it('is an order', () => {
    const part = fc.bigInt(0n, 3n);
    const version = fc.record({
      major: part,
      minor: part,
      patch: part,
      preRelease: fc.constantFrom('', 'A', 'beta1', 'rc'),
    });
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        const sign = (x: ClientVersion, y: ClientVersion) => Math.sign(compareClientVersions(x, y));
        expect(sign(a, b) + sign(b, a)).toBe(0);
        fc.pre(sign(a, b) <= 0 && sign(b, c) <= 0);
        expect(sign(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });
});
