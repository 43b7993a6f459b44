import { O_ACCMODE, O_APPEND, O_TRUNC } from '../../posix/open-flags.ts';

/** Positions of 32-bit words in a frame. @see struct fuse_in_header */
const OPCODE = 1;
const INO_LOW = 4;
const INO_HIGH = 5;
const HEADER_BYTES = 40;
/** @see struct fuse_open_in */
const OPEN_FLAGS = 10;
const OPEN_FRAME_BYTES = 48;
const GETATTR_FRAME_BYTES = 56;

const NAME_BYTES_MAX = 255;
const DOT = 0x2e;
/** Inodes up to 2^52 are exact in every number; special ones are far above. */
const INO_HIGH_MAX = 2 ** 20;

/** Request types that a shortcut knows. @see enum fuse_opcode */
export const Opcode = { lookup: 1, getattr: 3, open: 14 } as const;

/** Longest frame that {@link isQuestion} accepts. */
export const QUESTION_BYTES_MAX = HEADER_BYTES + NAME_BYTES_MAX + 1;

/**
 * Whether the metadata alone decides about a request: names and inodes that are in it, files opened
 * for reading. Names that begin with a dot may be virtual.
 */
export function isQuestion(frame: Uint8Array, words: Uint32Array, length: number): boolean {
  if ((words[INO_HIGH] as number) >= INO_HIGH_MAX) return false;
  switch (words[OPCODE]) {
    case Opcode.lookup:
      return isPlainName(frame, length);
    case Opcode.getattr:
      return length === GETATTR_FRAME_BYTES;
    case Opcode.open:
      return (
        length === OPEN_FRAME_BYTES &&
        ((words[OPEN_FLAGS] as number) & (O_ACCMODE | O_TRUNC | O_APPEND)) === 0
      );
    default:
      return false;
  }
}

/** The name of a LOOKUP; without its NUL. */
export function nameOf(frame: Uint8Array, length: number): Uint8Array {
  return frame.subarray(HEADER_BYTES, length - 1);
}

/** The inode that a request is about, as two words. */
export function inoLowOf(words: Uint32Array): number {
  return words[INO_LOW] as number;
}

/** @see inoLowOf */
export function inoHighOf(words: Uint32Array): number {
  return words[INO_HIGH] as number;
}

/** @see Opcode */
export function opcodeOf(words: Uint32Array): number {
  return words[OPCODE] as number;
}

function isPlainName(frame: Uint8Array, length: number): boolean {
  const nameBytes = length - HEADER_BYTES - 1;
  if (nameBytes < 1 || nameBytes > NAME_BYTES_MAX || frame[HEADER_BYTES] === DOT) return false;
  return frame[length - 1] === 0 && frame.indexOf(0, HEADER_BYTES) === length - 1;
}
