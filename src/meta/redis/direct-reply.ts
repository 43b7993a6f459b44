import { MetaError } from '../engine.ts';

const CR = 13;
const LF = 10;
const DOLLAR = 36;
const STAR = 42;
const MINUS = 45;
const ZERO = 48;
/** Attributes have about 80 bytes, edges 9: what is longer is no reply to our requests. */
const ITEM_BYTES_MAX = 4096;
const ITEMS_MAX = 2;
const LINE_BYTES_MAX = 1024;

/** A reply to one of `DirectRequests`. Reused, so that reading one allocates nothing. */
export class DirectReply {
  kind: 'nil' | 'items' | 'error' = 'nil';
  /** How many items there are: 1 for a plain value. */
  count = 0;
  /** Where each item begins, and its length; −1: nil. */
  readonly starts = [0, 0];
  readonly lengths = [-1, -1];
  /** Of an error. */
  message = '';
}

/**
 * Reads one reply.
 *
 * @param bytes - what has come from `from` to `end`
 * @returns where the next reply begins, −1 when more bytes must come first
 * @throws MetaError `corrupt` when it is no reply to our requests
 */
export function readReply(
  bytes: Uint8Array,
  from: number,
  end: number,
  reply: DirectReply,
): number {
  const line = lineEnd(bytes, from, end);
  if (line === -1) return -1;
  switch (bytes[from]) {
    case MINUS:
      reply.kind = 'error';
      reply.message = Buffer.from(bytes.subarray(from + 1, line)).toString('latin1');
      return line + 2;
    case DOLLAR:
      reply.count = 1;
      return readPlain(bytes, from, end, reply);
    case STAR:
      return readItems(bytes, from, end, reply);
    default:
      throw odd('an unknown type');
  }
}

function readPlain(bytes: Uint8Array, from: number, end: number, reply: DirectReply): number {
  const next = readItem(bytes, { from, end, index: 0 }, reply);
  if (next !== -1) reply.kind = reply.lengths[0] === -1 ? 'nil' : 'items';
  return next;
}

function readItems(bytes: Uint8Array, from: number, end: number, reply: DirectReply): number {
  const line = lineEnd(bytes, from, end);
  const count = integer(bytes, from + 1, line);
  if (count === 0 || count > ITEMS_MAX) throw odd(`${count} items`);
  reply.kind = count < 0 ? 'nil' : 'items';
  reply.count = Math.max(0, count);
  let at = line + 2;
  for (let index = 0; index < count && at !== -1; index++) {
    at = readItem(bytes, { from: at, end, index }, reply);
  }
  return at;
}

function readItem(
  bytes: Uint8Array,
  { from, end, index }: { from: number; end: number; index: number },
  reply: DirectReply,
): number {
  const line = lineEnd(bytes, from, end);
  if (line === -1) return -1;
  if (bytes[from] !== DOLLAR) throw odd('an item that is no string');
  const length = integer(bytes, from + 1, line);
  if (length > ITEM_BYTES_MAX) throw odd(`an item of ${length} bytes`);
  reply.starts[index] = line + 2;
  reply.lengths[index] = length;
  if (length === -1) return line + 2;
  const after = line + 2 + length;
  if (after + 2 > end) return -1;
  if (bytes[after] !== CR || bytes[after + 1] !== LF) throw odd('an item without an end');
  return after + 2;
}

/** @returns where the CR of the line is, −1 when it has not come yet */
function lineEnd(bytes: Uint8Array, from: number, end: number): number {
  for (let at = from; at + 1 < end; at++) {
    if (bytes[at] === CR && bytes[at + 1] === LF) return at;
    if (at - from > LINE_BYTES_MAX) throw odd('an endless line');
  }
  return -1;
}

/** −1 … 999,999 */
function integer(bytes: Uint8Array, from: number, end: number): number {
  if (bytes[from] === MINUS && bytes[from + 1] === ZERO + 1 && end === from + 2) return -1;
  let value = 0;
  if (end === from || end - from > 6) throw odd('a length that is none');
  for (let at = from; at < end; at++) {
    const digit = (bytes[at] as number) - ZERO;
    if (digit < 0 || digit > 9) throw odd('a length that is none');
    value = value * 10 + digit;
  }
  return value;
}

function odd(what: string): MetaError {
  return new MetaError('corrupt', `Redis: the reply has ${what}`);
}
