import { type NodeId, toNodeId } from '../block/node-id.ts';
import { PeerError } from './block-exchange.ts';
import type { VersionRange } from './protocol-version.ts';

/**
 * The messages of a proof. Their layout never changes, so that nodes of any two releases can tell
 * each other what they speak. All begin with `CMP`, the layout (1) and the kind (1 byte each); then
 *
 * - `hello` (1): lowest and highest version (1 byte each), lengths of two node ids (1 byte each),
 *   nonce (32), id of who connects, id of whom it wants;
 * - `answer` (2): chosen version (1), nonce (32), proof (32);
 * - `proof` (3): proof (32);
 * - `refusal` (4): reason (1), lowest and highest version (1 each). It proves nothing and is never
 *   more than the text of an error.
 */
export type ProofMessage =
  | ({ readonly kind: 'hello' } & ProofHello)
  | { readonly kind: 'answer'; readonly version: number; nonce: Uint8Array; proof: Uint8Array }
  | { readonly kind: 'proof'; readonly proof: Uint8Array }
  | { readonly kind: 'refusal'; readonly reason: RefusalReason; readonly versions: VersionRange };

/** What a node says first. */
export interface ProofHello {
  readonly versions: VersionRange;
  readonly from: NodeId;
  readonly to: NodeId;
  /** {@link NONCE_BYTES} random bytes. */
  readonly nonce: Uint8Array;
}

/**
 * Why a node goes no further: `node` = it is another node than the one that is wanted; `encryption` =
 * it takes encrypted connections only.
 */
export type RefusalReason = 'version' | 'node' | 'secret' | 'busy' | 'encryption';

/** Fresh randomness of each side. */
export const NONCE_BYTES = 32;
/** Length of an HMAC with SHA-256. */
export const PROOF_BYTES = 32;
/** Longest message: a hello with two ids of 255 bytes. */
export const PROOF_MESSAGE_BYTES_MAX = 9 + NONCE_BYTES + 2 * 255;

const MAGIC = [0x43, 0x4d, 0x50, 1] as const;
const HEAD_BYTES = 5;
const HELLO_BYTES = 9 + NONCE_BYTES;
/** Lengths by kind; a hello's ids come on top. */
const LENGTHS = [0, HELLO_BYTES, 6 + NONCE_BYTES + PROOF_BYTES, 5 + PROOF_BYTES, 8] as const;
const KINDS = [undefined, 'hello', 'answer', 'proof', 'refusal'] as const;
const REASONS: readonly RefusalReason[] = ['version', 'node', 'secret', 'busy', 'encryption'];
/** libp2p's ids are base58 or base32 text. */
const NODE_ID = /^[\x21-\x7e]{1,255}$/;

/** @returns the bytes of a message */
export function encodeProofMessage(message: ProofMessage): Uint8Array {
  const head = [...MAGIC, KINDS.indexOf(message.kind)];
  switch (message.kind) {
    case 'hello': {
      const { versions, from, to, nonce } = message;
      const sizes = [versions.min, versions.max, from.length, to.length];
      return Buffer.concat([Uint8Array.from([...head, ...sizes]), nonce, Buffer.from(from + to)]);
    }
    case 'answer':
      return Buffer.concat([
        Uint8Array.from([...head, message.version]),
        message.nonce,
        message.proof,
      ]);
    case 'proof':
      return Buffer.concat([Uint8Array.from(head), message.proof]);
    case 'refusal': {
      const { reason, versions } = message;
      return Uint8Array.from([...head, REASONS.indexOf(reason), versions.min, versions.max]);
    }
  }
}

/**
 * How long the message is that begins with `bytes`.
 *
 * @returns undefined while that cannot be seen yet
 * @throws PeerError (`protocol`) as soon as the bytes are no message of a proof
 */
export function proofMessageBytes(bytes: Uint8Array): number | undefined {
  for (let at = 0; at < Math.min(bytes.byteLength, MAGIC.length); at += 1) {
    if (bytes[at] !== MAGIC[at]) throw malformed('bytes that are no proof of membership');
  }
  const kind = bytes[4];
  if (kind === undefined) return undefined;
  const length = kind === 0 ? undefined : LENGTHS[kind];
  if (length === undefined) throw malformed('a proof message of unknown kind');
  if (kind !== 1) return length;
  const [from, to] = [bytes[7], bytes[8]];
  if (from === undefined || to === undefined) return undefined;
  return length + from + to;
}

/**
 * @param bytes - a whole message, as long as {@link proofMessageBytes} says
 * @throws PeerError (`protocol`) when its fields make no sense
 */
export function decodeProofMessage(bytes: Uint8Array): ProofMessage {
  const kind = KINDS[bytes[4] as number];
  switch (kind) {
    case 'hello': {
      const ids = Buffer.from(bytes.subarray(HELLO_BYTES)).toString('latin1');
      const fromLength = bytes[7] as number;
      return {
        kind,
        versions: rangeAt(bytes, HEAD_BYTES),
        from: idOf(ids.slice(0, fromLength)),
        to: idOf(ids.slice(fromLength)),
        nonce: bytes.slice(9, HELLO_BYTES),
      };
    }
    case 'answer': {
      const nonceEnd = 6 + NONCE_BYTES;
      const [nonce, proof] = [bytes.slice(6, nonceEnd), bytes.slice(nonceEnd)];
      return { kind, version: bytes[5] as number, nonce, proof };
    }
    case 'proof':
      return { kind, proof: bytes.slice(HEAD_BYTES) };
    case 'refusal': {
      const reason = REASONS[bytes[5] as number];
      if (reason === undefined) throw malformed('a refusal of unknown reason');
      return { kind, reason, versions: rangeAt(bytes, 6) };
    }
    case undefined:
      throw malformed('a proof message of unknown kind');
  }
}

function rangeAt(bytes: Uint8Array, at: number): VersionRange {
  const [min, max] = [bytes[at] as number, bytes[at + 1] as number];
  if (min > max) throw malformed('a range of versions that is none');
  return { min, max };
}

function idOf(text: string): NodeId {
  if (!NODE_ID.test(text)) throw malformed('a node id that is none');
  return toNodeId(text);
}

function malformed(what: string): PeerError {
  return new PeerError('protocol', `the peer sent ${what}`);
}
