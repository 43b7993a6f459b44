import fc from 'fast-check';
import { expect, it } from 'vitest';
import { dumpBytes, dumpText } from '../../src/daemon/dump-text.ts';

it.each([
  [Buffer.from('plain-ä€😀'), 'plain-ä€😀'],
  [Buffer.from('a b%"\\\n\0'), 'a%20b%25%22%5C%0A%00'],
  [Buffer.from([0x61, 0xff, 0xc3, 0xe2, 0x82]), 'a%FF%C3%E2%82'],
  [Buffer.from('�'), '%EF%BF%BD'],
  [Buffer.from([0xc0, 0xaf, 0xed, 0xa0, 0x80]), '%C0%AF%ED%A0%80'],
])('%j is %s in a dump', (bytes, text) => {
  expect(dumpText(bytes)).toBe(text);
});

it('what was written is read again', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      expect(Uint8Array.from(dumpBytes(dumpText(bytes)))).toEqual(bytes);
    }),
  );
});

it.each([
  ['100%', '100%'],
  ['%4', '%4'],
  ['%4x%41', '%4xA'],
  ['%aa', '%aa'],
  ['%%41', '%A'],
])('%s, as old clients wrote it, is %s', (text, expected) => {
  expect(Buffer.from(dumpBytes(text)).toString()).toBe(expected);
});
