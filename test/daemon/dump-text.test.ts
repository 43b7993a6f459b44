import { expect, it } from 'vitest';
import { dumpText } from '../../src/daemon/dump-text.ts';

it.each([
  [Buffer.from('plain-ä€😀'), 'plain-ä€😀'],
  [Buffer.from('a b%"\\\n\0'), 'a%20b%25%22%5C%0A%00'],
  [Buffer.from([0x61, 0xff, 0xc3, 0xe2, 0x82]), 'a%FF%C3%E2%82'],
  [Buffer.from('�'), '%EF%BF%BD'],
  [Buffer.from([0xc0, 0xaf, 0xed, 0xa0, 0x80]), '%C0%AF%ED%A0%80'],
])('%j is %s in a dump', (bytes, text) => {
  expect(dumpText(bytes)).toBe(text);
});
