import { PeerError } from './block-exchange.ts';
import { FRAME_VERSION } from './frame-codec.ts';
import { TICKET_BYTES } from './ticket-office.ts';

/**
 * What a client says first on a bulk connection, in every version of the protocol: `CMB`, the
 * version of the frames that follow (1 byte), and its ticket.
 */
export const PREAMBLE_BYTES = 4 + TICKET_BYTES;

const MAGIC = [0x43, 0x4d, 0x42] as const;

/** What a preamble says. */
export interface Preamble {
  readonly version: number;
  readonly ticket: Uint8Array;
}

/** @returns the preamble for a ticket, in the version that this node speaks */
export function encodePreamble(ticket: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PREAMBLE_BYTES);
  bytes.set([...MAGIC, FRAME_VERSION]);
  bytes.set(ticket, 4);
  return bytes;
}

/**
 * Reads the first {@link PREAMBLE_BYTES} of a connection.
 *
 * @throws PeerError (`protocol`) when they are something else
 */
export function decodePreamble(bytes: Uint8Array): Preamble {
  if (MAGIC.some((byte, index) => bytes[index] !== byte)) {
    throw new PeerError('protocol', 'not a bulk connection');
  }
  return { version: bytes[3] as number, ticket: bytes.slice(4, PREAMBLE_BYTES) };
}
