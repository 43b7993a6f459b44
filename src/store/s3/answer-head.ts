/** The first lines of an HTTP answer. */
export interface AnswerHead {
  readonly status: number;
  /** By names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Of the body; undefined when only its end tells. */
  readonly bodyBytes: number | undefined;
  /** Whether the connection may take another request after the body. */
  readonly keepAlive: boolean;
}

/** The server does not speak HTTP as we know it. */
export class AnswerError extends Error {}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: |$)/;
const HEADER_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):(.*)$/;
const BLANKS = new Set([' ', '\t']);
const LENGTH = /^[0-9]{1,15}$/;

/**
 * Understands the head of an answer.
 *
 * @param text - without the empty line at its end
 * @throws AnswerError for whatever could be understood in two ways: it decides where the body ends
 * @see RFC 9112, sections 4, 5 and 6
 */
export function parseAnswerHead(text: string): AnswerHead {
  const [first = '', ...lines] = text.split('\r\n');
  const status = STATUS_LINE.exec(first);
  if (status === null) throw new AnswerError('the answer does not begin as HTTP does');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, rest = ''] = HEADER_LINE.exec(line) ?? [];
    if (name === undefined) throw new AnswerError('the answer has a line that is no header');
    const value = withoutBlanks(rest);
    const key = name.toLowerCase();
    const before = headers.get(key);
    headers.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  const keepAlive = status[1] === '1' && !/\bclose\b/i.test(headers.get('connection') ?? '');
  return { status: Number(status[2]), headers, bodyBytes: bodyBytesOf(headers), keepAlive };
}

/** Without blanks at both ends: those of HTTP, fewer than `trim` takes, and in one pass over any line. */
function withoutBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANKS.has(text[start] as string)) start += 1;
  while (end > start && BLANKS.has(text[end - 1] as string)) end -= 1;
  return text.slice(start, end);
}

function bodyBytesOf(headers: ReadonlyMap<string, string>): number | undefined {
  const length = headers.get('content-length');
  if (headers.has('transfer-encoding')) {
    if (length === undefined) return undefined;
    throw new AnswerError('the answer has two lengths');
  }
  if (length === undefined) return undefined;
  if (!LENGTH.test(length)) throw new AnswerError(`the answer has the length '${length}'`);
  return Number(length);
}
