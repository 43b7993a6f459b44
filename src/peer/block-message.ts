import { type BlockId, type BlockKey, parseBlockId } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import { BLOCK_BYTES_MAX } from '../block/geometry.ts';
import { type HeldIn, PeerError, type PeerErrorCode } from './block-exchange.ts';
import type { WireRecord } from './checked-msgpack.ts';
import { isIntegerIn } from './frame-codec.ts';

/** Ids in one `holds` message at most; they fit into a header of 64 KiB. */
export const HOLDS_IDS_MAX = 1000;
/** Characters of an error's message that are passed on. */
const ERROR_TEXT_MAX = 1000;

/** What a client asks for on a bulk connection. */
export type BlockRequest =
  | { readonly type: 'get'; readonly key: BlockKey; readonly range: ByteRange }
  | { readonly type: 'holds'; readonly ids: readonly BlockId[] };

/**
 * What a server answers. `data` carries a payload and its CRC-32C; `working` says that the answer
 * still takes a moment; `end`, `error` and `tiers` end the request.
 */
export type BlockReply =
  | { readonly type: 'data'; readonly offset: number; readonly crc32c: number }
  | { readonly type: 'working' }
  | { readonly type: 'end' }
  | { readonly type: 'error'; readonly code: PeerErrorCode; readonly message: string }
  | { readonly type: 'tiers'; readonly tiers: readonly HeldIn[] };

const TIERS: readonly HeldIn[] = [undefined, 'memory', 'disk'];
const ERROR_CODES: ReadonlySet<unknown> = new Set<PeerErrorCode>([
  'unreachable',
  'timeout',
  'busy',
  'protocol',
  'corrupt',
  'failed',
]);

/**
 * Reads what a client asks for. Fields that are not known are ignored.
 *
 * @throws PeerError (`protocol`)
 */
export function parseBlockRequest(header: WireRecord): BlockRequest {
  const { type, id, offset, length, ids } = header;
  if (type === 'holds') {
    if (!Array.isArray(ids) || ids.length > HOLDS_IDS_MAX) throw invalid(header);
    if (!ids.every((each) => typeof each === 'string' && parseBlockId(each) !== undefined)) {
      throw invalid(header);
    }
    return { type, ids: ids as BlockId[] };
  }
  if (type !== 'get') throw unknownType(type);
  const key = typeof id === 'string' ? parseBlockId(id) : undefined;
  if (key === undefined || key.sizeBytes > BLOCK_BYTES_MAX) throw invalid(header);
  if (!isIntegerIn(offset, 0, key.sizeBytes - 1)) throw invalid(header);
  if (!isIntegerIn(length, 1, key.sizeBytes - offset)) throw invalid(header);
  return { type, key, range: { offset, length } };
}

/**
 * Reads what a server answers. Fields that are not known are ignored.
 *
 * @throws PeerError (`protocol`)
 */
export function parseBlockReply(header: WireRecord): BlockReply {
  const { type, offset, crc32c, code, message, tiers } = header;
  switch (type) {
    case 'data':
      if (!isIntegerIn(offset, 0, BLOCK_BYTES_MAX)) throw invalid(header);
      if (!isIntegerIn(crc32c, 0, 0xffffffff)) throw invalid(header);
      return { type, offset, crc32c };
    case 'working':
    case 'end':
      return { type };
    case 'error':
      return {
        type,
        code: ERROR_CODES.has(code) ? (code as PeerErrorCode) : 'failed',
        message: typeof message === 'string' ? message.slice(0, ERROR_TEXT_MAX) : 'no reason given',
      };
    case 'tiers':
      if (!Array.isArray(tiers) || tiers.length > HOLDS_IDS_MAX) throw invalid(header);
      if (!tiers.every((tier) => isIntegerIn(tier, 0, 2))) throw invalid(header);
      return { type, tiers: tiers.map((tier: number) => TIERS[tier]) };
    default:
      throw unknownType(type);
  }
}

/** An `error` reply. */
export function errorReply(code: PeerErrorCode, message: string): WireRecord {
  return { type: 'error', code, message: message.slice(0, ERROR_TEXT_MAX) };
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
