import { isUtf8 } from 'node:buffer';

const SPACE = 0x20;
const PERCENT = 0x25;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** What the original client takes for bytes that are no text. */
const REPLACEMENT = '�';

/**
 * Bytes of a name, a target or a value as a dump has them inside of quotation marks: text as it is, all
 * else as `%` and two hexadecimal digits for each byte.
 */
export function dumpText(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.byteLength; ) {
    const length = characterBytes(bytes, at);
    const part = bytes.subarray(at, at + length);
    text += isPlain(part) ? Buffer.from(part).toString('utf8') : escaped(part);
    at += length;
  }
  return text;
}

/** Of the character that begins there; 1 for what is none. */
function characterBytes(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0xc0) return 1;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return isUtf8(bytes.subarray(at, at + length)) ? length : 1;
}

function isPlain(part: Uint8Array): boolean {
  const [first = 0] = part;
  if (part.byteLength > 1) return Buffer.from(part).toString('utf8') !== REPLACEMENT;
  return first > SPACE && first < 0x80 && ![PERCENT, QUOTE, BACKSLASH].includes(first);
}

function escaped(part: Uint8Array): string {
  return Array.from(part, (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(
    '',
  );
}

const ESCAPED = /%[0-9A-F]{2}/;

/** The inverse of {@link dumpText}. Text that only looks like an escape is taken as it is. */
export function dumpBytes(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'utf8');
  if (!ESCAPED.test(text)) return bytes;
  let size = 0;
  for (let at = 0; at < bytes.byteLength; at += 1, size += 1) {
    const value = bytes[at] === PERCENT ? hexByte(bytes, at + 1) : undefined;
    bytes[size] = value ?? bytes[at] ?? 0;
    if (value !== undefined) at += 2;
  }
  return bytes.subarray(0, size);
}

function hexByte(bytes: Uint8Array, at: number): number | undefined {
  const [high, low] = [hexDigit(bytes[at]), hexDigit(bytes[at + 1])];
  return high === undefined || low === undefined ? undefined : high * 16 + low;
}

/** Upper-case digits only, as original clients have it. */
function hexDigit(code = 0): number | undefined {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x41 && code <= 0x46 ? code - 0x41 + 10 : undefined;
}
