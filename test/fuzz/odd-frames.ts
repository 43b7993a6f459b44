import { crc32c } from '@node-rs/crc32';
import { Packr } from 'msgpackr';
import { encodeFrame } from '../../src/peer/frame-codec.ts';

/** Numbers that look random and repeat (mulberry32, public domain). */
export function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const packr = new Packr({ useRecords: false });
const ODD_VALUES: readonly unknown[] = [
  null,
  -1,
  0,
  1,
  1.5,
  2 ** 32,
  2 ** 53,
  Number.NaN,
  '',
  '1_0_4194304',
  '1_0_999999999',
  '18446744073709551616_0_1',
  'x'.repeat(500),
  true,
  [],
  [[]],
  {},
  new Date(0),
  new Uint8Array(3),
  ['1_0_1', 5],
  ['a', 7, 0, 100, ['/ip4/1.2.3.4/tcp/1'], 'zone', '1.0', 7],
  [['a', -1, 4, 100, ['/ip4/1.2.3.4/tcp/1'], null, null, null]],
];
const TYPES = ['get', 'holds', 'data', 'end', 'error', 'working', 'tiers', 'gossip', 'other', 7];
const FIELDS = ['id', 'offset', 'length', 'ids', 'crc32c', 'code', 'message', 'tiers', 'bytes'];
const GOSSIP_FIELDS = ['self', 'records', 'hash', 'epoch', 'wants', 'covers'];
const RECORD = ['a', 7, 0, 100, ['/ip4/1.2.3.4/tcp/1'], null, '1.0', 7];
const GOSSIP = { self: RECORD, records: [RECORD, RECORD], hash: [1, 2], epoch: 3, covers: [4] };

/** A frame that is nearly right: odd fields, odd bytes, or odd lengths, with a checksum or without. */
export function oddFrame(below: (limit: number) => number, version = 2): Uint8Array {
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  if (below(10) === 0) return Uint8Array.from({ length: below(200) }, () => below(256));
  const fields: Record<string, unknown> = {
    type: pick(TYPES),
    id: '9_0_5000',
    offset: 0,
    length: 9,
    ...(below(4) === 0 ? GOSSIP : {}),
  };
  for (let count = below(4); count > 0; count -= 1) {
    fields[pick([...FIELDS, ...GOSSIP_FIELDS])] = pick(ODD_VALUES);
  }
  const header = Uint8Array.from(packr.pack(fields));
  for (let count = below(3); count > 0; count -= 1) header[below(header.length)] = below(256);
  const prefix = encodeFrame({}, 0, { version, request: below(3) }).slice(0, version > 2 ? 16 : 12);
  const frame = new Uint8Array(prefix.length + header.length);
  frame.set(prefix);
  frame.set(header, prefix.length);
  const view = new DataView(frame.buffer);
  view.setUint32(4, header.length);
  view.setUint32(8, crc32c(frame.subarray(12)));
  for (let count = below(8) === 0 ? 2 : 0; count > 0; count -= 1) {
    frame[below(frame.length)] = below(256);
  }
  return frame;
}
