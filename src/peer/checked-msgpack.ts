import { Packr } from 'msgpackr';
import { PeerError } from './block-exchange.ts';

/** Named values as they go over the wire. */
export type WireRecord = Readonly<Record<string, unknown>>;

/** Lists and maps inside each other at most; our messages need 3. */
const DEPTH_MAX = 8;

// Plain maps with string keys: any MessagePack reader understands them.
const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });

/** @param record - plain values only; undefined values are left out */
export function packRecord(record: WireRecord): Uint8Array {
  const present = Object.entries(record).filter(([, value]) => value !== undefined);
  return packr.pack(Object.fromEntries(present));
}

/**
 * Decodes one map that fills `bytes` exactly. The bytes come from strangers, so their structure is
 * walked first: no extension types (which may construct objects), no deep nesting, no length that
 * reserves more memory than was sent.
 *
 * @throws PeerError (`protocol`)
 */
export function unpackRecord(bytes: Uint8Array): WireRecord {
  if (skipValue(bytes, 0, 0) !== bytes.byteLength) throw malformed('bytes follow the message');
  const value: unknown = unpackChecked(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed('a message is not a map');
  }
  return value as WireRecord;
}

function unpackChecked(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes);
  } catch (cause) {
    throw new PeerError('protocol', 'a message does not decode', { cause });
  }
}

/** What a MessagePack value holds beside its first byte (specification, "Formats"). */
interface Shape {
  /** Bytes that give a length, 0 when the first byte says it all. */
  readonly lengthBytes: number;
  /** Bytes of content, or number of values when `nested`. */
  readonly count: number;
  readonly nested: 0 | 1 | 2;
}

const VARIABLE: ReadonlyMap<number, Omit<Shape, 'count'>> = new Map([
  [0xc4, { lengthBytes: 1, nested: 0 }],
  [0xc5, { lengthBytes: 2, nested: 0 }],
  [0xc6, { lengthBytes: 4, nested: 0 }],
  [0xd9, { lengthBytes: 1, nested: 0 }],
  [0xda, { lengthBytes: 2, nested: 0 }],
  [0xdb, { lengthBytes: 4, nested: 0 }],
  [0xdc, { lengthBytes: 2, nested: 1 }],
  [0xdd, { lengthBytes: 4, nested: 1 }],
  [0xde, { lengthBytes: 2, nested: 2 }],
  [0xdf, { lengthBytes: 4, nested: 2 }],
]);

const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  [0xc0, 0],
  [0xc2, 0],
  [0xc3, 0],
  [0xca, 4],
  [0xcb, 8],
  [0xcc, 1],
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
  [0xd0, 1],
  [0xd1, 2],
  [0xd2, 4],
  [0xd3, 8],
]);

function shapeAt(bytes: Uint8Array, at: number): Shape {
  const first = bytes[at];
  if (first === undefined) throw malformed('a message is cut off');
  if (first <= 0x7f || first >= 0xe0) return { lengthBytes: 0, count: 0, nested: 0 };
  if (first <= 0x8f) return { lengthBytes: 0, count: first & 0x0f, nested: 2 };
  if (first <= 0x9f) return { lengthBytes: 0, count: first & 0x0f, nested: 1 };
  if (first <= 0xbf) return { lengthBytes: 0, count: first & 0x1f, nested: 0 };
  const fixed = FIXED_BYTES.get(first);
  if (fixed !== undefined) return { lengthBytes: 0, count: fixed, nested: 0 };
  const variable = VARIABLE.get(first);
  if (variable === undefined) throw malformed(`type 0x${first.toString(16)} is not used here`);
  let count = 0;
  for (let index = 1; index <= variable.lengthBytes; index += 1) {
    count = count * 256 + (bytes[at + index] ?? 0);
  }
  return { ...variable, count };
}

/** @returns where the value that begins at `at` ends */
function skipValue(bytes: Uint8Array, at: number, depth: number): number {
  if (depth > DEPTH_MAX) throw malformed('a message is nested too deeply');
  const { lengthBytes, count, nested } = shapeAt(bytes, at);
  let end = at + 1 + lengthBytes;
  if (nested === 0) end += count;
  else
    for (let index = 0; index < count * nested; index += 1) end = skipValue(bytes, end, depth + 1);
  if (end > bytes.byteLength) throw malformed('a message is cut off');
  return end;
}

function malformed(message: string): PeerError {
  return new PeerError('protocol', message);
}
