import { type BlockId, type BlockKey, parseBlockId } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import { pieceCount } from '../block/piece-sums.ts';
import { BLOCK_BYTES_MAX } from '../block/geometry.ts';
import { type NodeId, toNodeId } from '../block/node-id.ts';
import {
  type AskMode,
  type HeldIn,
  PEER_ERROR_CODES,
  PeerError,
  type PeerErrorCode,
  REFERRED_MAX,
  ReferralError,
} from './block-exchange.ts';
import type { WireRecord } from './checked-msgpack.ts';
import { isIntegerIn } from './frame-codec.ts';

/** Ids in one `holds` message at most; they fit into a header of 64 KiB. */
export const HOLDS_IDS_MAX = 1000;
/** Blocks in one `many` message at most, and their bytes together: a window of small files. */
export const MANY_BLOCKS_MAX = 256;
export const MANY_BYTES_MAX = 16 * 1024 * 1024;
/** Characters of an error's message that are passed on. */
const ERROR_TEXT_MAX = 1000;
const NODE_ID_LENGTH_MAX = 100;

/** What a client asks for on a bulk connection. */
export type BlockRequest =
  | {
      readonly type: 'get';
      readonly key: BlockKey;
      readonly range: ByteRange;
      readonly mode: AskMode;
    }
  | { readonly type: 'many'; readonly keys: readonly BlockKey[]; readonly mode: AskMode }
  | { readonly type: 'holds'; readonly ids: readonly BlockId[] };

/** A `data` reply: bytes of a block, with checksums. */
export interface DataReply {
  readonly type: 'data';
  readonly offset: number;
  /** Of a `many`: number of the block among those asked for; 0 otherwise. */
  readonly place: number;
  /** Version 2: of the whole payload. */
  readonly crc32c: number | undefined;
  /** From version 3 on: CRC-32 of each piece. @see pieceSums */
  readonly sums: Uint32Array | undefined;
  /** Nothing follows: the request is answered. */
  readonly last: boolean;
}

/**
 * What a server answers. `data` carries a payload; `working` says that the answer still takes a
 * moment; `miss` is the answer for one block of `many`; `end`, `error`, `tiers` and the last `data`
 * end the request.
 */
export type BlockReply =
  | DataReply
  | { readonly type: 'working' }
  | { readonly type: 'end' }
  | ErrorReply
  | { readonly type: 'miss'; readonly place: number; readonly error: ErrorReply }
  | { readonly type: 'tiers'; readonly tiers: readonly HeldIn[] };

/** Why there is no answer. */
export interface ErrorReply {
  readonly type: 'error';
  readonly code: PeerErrorCode;
  readonly message: string;
  /** Of `elsewhere`. */
  readonly holders: readonly NodeId[];
}

const TIERS: readonly HeldIn[] = [undefined, 'memory', 'disk'];
const ERROR_CODES: ReadonlySet<unknown> = new Set(PEER_ERROR_CODES);
const MODES: readonly unknown[] = ['any', 'final', 'held'] satisfies AskMode[];

/**
 * Reads what a client asks for. Fields that are not known are ignored.
 *
 * @throws PeerError (`protocol`)
 */
export function parseBlockRequest(header: WireRecord): BlockRequest {
  const { type, id, offset, length, ids, mode = 'any' } = header;
  if (type === 'holds') {
    if (!Array.isArray(ids) || ids.length > HOLDS_IDS_MAX) throw invalid(header);
    if (!ids.every((each) => typeof each === 'string' && parseBlockId(each) !== undefined)) {
      throw invalid(header);
    }
    return { type, ids: ids as BlockId[] };
  }
  if (!MODES.includes(mode)) throw invalid(header);
  if (type === 'many') return { type, keys: parseKeys(header), mode: mode as AskMode };
  if (type !== 'get') throw unknownType(type);
  const key = parseKey(id);
  if (key === undefined) throw invalid(header);
  if (!isIntegerIn(offset, 0, key.sizeBytes - 1)) throw invalid(header);
  if (!isIntegerIn(length, 1, key.sizeBytes - offset)) throw invalid(header);
  return { type, key, range: { offset, length }, mode: mode as AskMode };
}

function parseKey(id: unknown): BlockKey | undefined {
  const key = typeof id === 'string' ? parseBlockId(id) : undefined;
  return key === undefined || key.sizeBytes > BLOCK_BYTES_MAX ? undefined : key;
}

function parseKeys(header: WireRecord): BlockKey[] {
  const { ids } = header;
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > MANY_BLOCKS_MAX)
    throw invalid(header);
  const keys = ids.map(parseKey).filter((key) => key !== undefined);
  const sizeBytes = keys.reduce((sum, key) => sum + key.sizeBytes, 0);
  if (keys.length < ids.length || sizeBytes > MANY_BYTES_MAX) throw invalid(header);
  return keys;
}

/**
 * Reads what a server answers. Fields that are not known are ignored.
 *
 * @throws PeerError (`protocol`)
 */
export function parseBlockReply(header: WireRecord): BlockReply {
  const { type, tiers, place } = header;
  switch (type) {
    case 'data':
      return parseData(header);
    case 'working':
    case 'end':
      return { type };
    case 'error':
      return parseError(header);
    case 'miss':
      if (!isIntegerIn(place, 0, MANY_BLOCKS_MAX - 1)) throw invalid(header);
      return { type, place, error: parseError(header) };
    case 'tiers':
      if (!Array.isArray(tiers) || tiers.length > HOLDS_IDS_MAX) throw invalid(header);
      if (!tiers.every((tier) => isIntegerIn(tier, 0, 2))) throw invalid(header);
      return { type, tiers: tiers.map((tier: number) => TIERS[tier]) };
    default:
      throw unknownType(type);
  }
}

function parseData(header: WireRecord): DataReply {
  const { offset, place = 0, crc32c, sums, bytes = 0, last = false } = header;
  if (!isIntegerIn(offset, 0, BLOCK_BYTES_MAX)) throw invalid(header);
  if (!isIntegerIn(place, 0, MANY_BLOCKS_MAX - 1) || typeof last !== 'boolean')
    throw invalid(header);
  if (sums === undefined) {
    if (!isIntegerIn(crc32c, 0, 0xffffffff)) throw invalid(header);
    return { type: 'data', offset, place, crc32c, sums, last };
  }
  const isBytes = sums instanceof Uint8Array && isIntegerIn(bytes, 1, BLOCK_BYTES_MAX);
  if (!isBytes || sums.byteLength !== 4 * pieceCount(bytes)) throw invalid(header);
  return { type: 'data', offset, place, crc32c: undefined, sums: unpackSums(sums), last };
}

/** A `data` reply of version 3; its payload goes with it. @param more - beside offset and sums */
export function dataReply(offset: number, sums: Uint32Array, more: WireRecord): WireRecord {
  return { type: 'data', offset, sums: packSums(sums), ...more };
}

function packSums(sums: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(4 * sums.length);
  const view = new DataView(bytes.buffer);
  sums.forEach((sum, piece) => view.setUint32(4 * piece, sum));
  return bytes;
}

function unpackSums(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint32Array.from({ length: bytes.byteLength / 4 }, (_, piece) =>
    view.getUint32(4 * piece),
  );
}

function parseError({ code, message, holders }: WireRecord): ErrorReply {
  return {
    type: 'error',
    code: ERROR_CODES.has(code) ? (code as PeerErrorCode) : 'failed',
    message: typeof message === 'string' ? message.slice(0, ERROR_TEXT_MAX) : 'no reason given',
    holders: parseHolders(holders),
  };
}

/** A `miss` reply. */
export function missReply(place: number, error: WireRecord): WireRecord {
  return { ...error, type: 'miss', place };
}

/** An `error` reply. */
export function errorReply(code: PeerErrorCode, message: string): WireRecord {
  return { type: 'error', code, message: message.slice(0, ERROR_TEXT_MAX) };
}

/** An `error` reply that names others. */
export function referralReply({ message, holders }: ReferralError): WireRecord {
  return { ...errorReply('elsewhere', message), holders: holders.slice(0, REFERRED_MAX) };
}

/** The error that a reply stands for. */
export function errorOf(reply: ErrorReply): PeerError {
  const { code, message, holders } = reply;
  if (code === 'elsewhere') return new ReferralError(message, holders);
  const retryable = code === 'busy' || code === 'timeout' || code === 'unreachable';
  return new PeerError(code, message, { retryable });
}

function parseHolders(holders: unknown): NodeId[] {
  if (!Array.isArray(holders)) return [];
  const names: readonly unknown[] = holders.slice(0, REFERRED_MAX);
  const isName = (name: unknown) => typeof name === 'string' && name.length <= NODE_ID_LENGTH_MAX;
  return names.filter(isName).map((name) => toNodeId(name as string));
}

/** A `tiers` reply. */
export function tiersReply(tiers: readonly HeldIn[]): WireRecord {
  return { type: 'tiers', tiers: tiers.map((tier) => TIERS.indexOf(tier)) };
}

function unknownType(type: unknown): PeerError {
  return new PeerError('protocol', `the peer sent a message of type ${printable(type)}`);
}

function invalid(header: WireRecord): PeerError {
  return new PeerError(
    'protocol',
    `the peer sent a ${printable(header['type'])} with wrong fields`,
  );
}

function printable(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : typeof value;
}
