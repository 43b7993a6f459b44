import { FrameReader } from './frame-reader.ts';
import type { OpcodeName, OpcodeRow } from './opcodes.ts';
import { OPCODES, opcodeName } from './opcodes.ts';
import type { RequestHeader } from './request-header.ts';
import { decodeHeader, IN_HEADER_BYTES } from './request-header.ts';

/** A decoded request of one type. */
export interface RequestOf<Name extends OpcodeName> {
  readonly name: Name;
  readonly header: RequestHeader;
  readonly body: ReturnType<(typeof OPCODES)[Name]['decode']>;
}

/** A request with an opcode that is newer than what we know. */
export interface UnknownRequest {
  readonly name: undefined;
  readonly header: RequestHeader;
}

/** A decoded request. */
export type Request = { [Name in OpcodeName]: RequestOf<Name> }[OpcodeName] | UnknownRequest;

/**
 * Decodes one frame as it was read from the device.
 *
 * @throws WireError when it is malformed
 */
export function decodeRequest(frame: Uint8Array): Request {
  const header = decodeHeader(frame);
  const name = opcodeName(header.opcode);
  if (name === undefined) return { name, header };
  const row: OpcodeRow = OPCODES[name];
  const content = frame.subarray(0, frame.byteLength - header.extensionBytes);
  const body = row.decode(new FrameReader(content, IN_HEADER_BYTES));
  return { name, header, body } as Request;
}
