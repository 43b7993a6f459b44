import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { expect, test } from 'vitest';
import { packRecord, unpackRecord } from '../../src/peer/checked-msgpack.ts';

const value = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double({ noNaN: true }).map((number) => number + 0),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.oneof(fc.string(), fc.nat(0xffffffff)), { maxLength: 40 }),
);
const record = fc.dictionary(
  fc.string().filter((key) => key !== '__proto__'),
  value,
  { noNullPrototype: true },
);

test('what is packed comes back', () => {
  fc.assert(
    fc.property(record, (fields) => {
      expect(unpackRecord(packRecord(fields))).toEqual(fields);
    }),
  );
});

test('bytes come back as bytes, and undefined is left out', () => {
  const back = unpackRecord(packRecord({ ticket: new Uint8Array([1, 2, 3]), none: undefined }));
  expect([...(back['ticket'] as Uint8Array)]).toEqual([1, 2, 3]);
  expect(Object.keys(back)).toEqual(['ticket']);
});

test('any cut and any byte behind the message is refused', () => {
  const packed = packRecord({ type: 'get', ids: ['a', 'b'], offset: 70_000, more: { a: [1, 2] } });
  for (let length = 0; length < packed.byteLength; length += 1) {
    expect(() => unpackRecord(packed.subarray(0, length))).toThrow(/cut off/);
  }
  expect(() => unpackRecord(Buffer.concat([packed, Buffer.from([0xc0])]))).toThrow(/follow/);
});

test.each([
  ['a number', Uint8Array.of(5)],
  ['nil', Uint8Array.of(0xc0)],
  ['a list', Uint8Array.of(0x91, 0x01)],
  ['a date, which is an extension', new Packr({ useRecords: false }).pack({ at: new Date(0) })],
  ['the type that is never used', Uint8Array.of(0x81, 0xa1, 0x61, 0xc1)],
  ['a list of 2^32 - 1 values', Uint8Array.of(0x81, 0xa1, 0x61, 0xdd, 0xff, 0xff, 0xff, 0xff)],
  ['a map of 2^32 - 1 values', Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff)],
  ['a string longer than the message', Uint8Array.of(0x81, 0xdb, 0x7f, 0xff, 0xff, 0xff, 0x61)],
  ['60,000 lists in each other', new Uint8Array(60_000).fill(0x91)],
])('%s is refused', (_, bytes) => {
  expect(() => unpackRecord(bytes)).toThrow(expect.objectContaining({ code: 'protocol' }));
});

test('no key reaches a prototype', () => {
  // A map with the one key `__proto__`, whose value is a map {polluted: true}.
  const bytes = Buffer.concat([
    Uint8Array.of(0x81, 0xa9),
    Buffer.from('__proto__'),
    Uint8Array.of(0x81, 0xa8),
    Buffer.from('polluted'),
    Uint8Array.of(0xc3),
  ]);
  expect(unpackRecord(bytes)['polluted']).toBeUndefined();
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});
