import { type NodeId, toNodeId } from '../block/node-id.ts';
import { type Member, PeerError } from './block-exchange.ts';
import type { WireRecord } from './checked-msgpack.ts';
import { ADDRESSES_MAX, isMultiaddr } from './dialable-addresses.ts';

/** Others that a hello names at most; they fit into a message of 64 KiB. */
export const OTHERS_MAX = 64;
/** Of each of them. */
const OTHER_ADDRESSES_MAX = 2;
const NODE_ID_LENGTH_MAX = 100;
/** Far beyond any real ratio, and safe in sums. */
const WEIGHT_MAX = 1e6;

/** What a node says of itself, and whom else it knows. */
export interface Hello {
  readonly addresses: readonly string[];
  readonly weight: number;
  /** Only a hint: they are asked themselves before they count. */
  readonly others: readonly { readonly nodeId: NodeId; readonly addresses: readonly string[] }[];
}

/** The fields of a hello. */
export function encodeHello(self: Member, others: readonly Member[]): WireRecord {
  return {
    addresses: self.addresses,
    weight: self.weight,
    others: others.slice(0, OTHERS_MAX).map(({ nodeId, addresses }) => ({
      nodeId,
      addresses: addresses.slice(0, OTHER_ADDRESSES_MAX),
    })),
  };
}

/**
 * Reads a hello. Fields that are not known are ignored.
 *
 * @throws PeerError (`protocol`)
 */
export function parseHello(message: WireRecord): Hello {
  const { weight, others } = message;
  if (typeof weight !== 'number' || !(weight >= 0 && weight <= WEIGHT_MAX)) throw malformed();
  const known: readonly unknown[] = Array.isArray(others) ? others.slice(0, OTHERS_MAX) : [];
  return {
    addresses: parseAddresses(message['addresses']),
    weight,
    others: known.map(parseOther),
  };
}

function parseOther(value: unknown): Hello['others'][number] {
  if (typeof value !== 'object' || value === null) throw malformed();
  const { nodeId, addresses } = value as WireRecord;
  if (typeof nodeId !== 'string' || nodeId.length > NODE_ID_LENGTH_MAX) throw malformed();
  return { nodeId: toNodeId(nodeId), addresses: parseAddresses(addresses) };
}

function parseAddresses(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length > ADDRESSES_MAX) throw malformed();
  if (!value.every(isMultiaddr)) throw malformed();
  return value as string[];
}

function malformed(): PeerError {
  return new PeerError('protocol', 'a hello with wrong fields');
}
