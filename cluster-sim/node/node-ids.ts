import { type NodeId, toNodeId } from '../../src/block/node-id.ts';
import { seededRandom } from '../world/seeded-random.ts';

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
/** Before the 32 bytes of an Ed25519 key in a peer id: identity hash, 36 bytes, key of type 1. */
const PREFIX = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
const KEY_BYTES = 32;

/** A name of the form of libp2p's peer ids: the same number always has the same one. */
export function nodeIdOf(number: number): NodeId {
  return toNodeId(base58([...PREFIX, ...seededRandom(0x6e6f_6465 + number).bytes(KEY_BYTES)]));
}

/** @see the Bitcoin base58 alphabet, as multibase's `base58btc` has it */
function base58(bytes: readonly number[]): string {
  let value = 0n;
  for (const byte of bytes) value = value * 256n + BigInt(byte);
  let text = '';
  for (; value > 0n; value /= 58n) text = (ALPHABET[Number(value % 58n)] as string) + text;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return '1'.repeat(zeros) + text;
}
