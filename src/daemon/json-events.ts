import { Tokenizer, TokenType } from '@streamparser/json';
import { CodedError } from '../runtime/coded-error.ts';

/** What a file should be a dump of the metadata, and is not. The message tells where and why. */
export class DumpError extends CodedError<'bad-dump'> {
  constructor(message: string, cause?: unknown) {
    super('bad-dump', message, cause === undefined ? {} : { cause });
  }
}

/** A text, a number (a bigint when a double would round it), true, false or null. */
export type JsonScalar = string | number | bigint | boolean | null;

/** Told what a JSON text holds, in its order. */
export interface JsonHandler {
  onStart(kind: '{' | '['): void;
  onEnd(): void;
  onKey(name: string): void;
  onScalar(value: JsonScalar): void;
}

type Expected = 'value' | 'valueOrEnd' | 'key' | 'keyOrEnd' | 'colon' | 'commaOrEnd' | 'nothing';

const INTEGER = /^-?[0-9]+$/;

/** The library's tokens; numbers with all their digits. */
class ExactTokenizer extends Tokenizer {
  digits = '';

  override parseNumber(text: string): number {
    this.digits = text;
    return Number(text);
  }
}

/** Takes a JSON text apart while it comes. Memory is bounded by its longest text and its depth. */
export class JsonEvents {
  readonly #handler: JsonHandler;
  readonly #tokens = new ExactTokenizer();
  readonly #open: ('{' | '[')[] = [];
  #expected: Expected = 'value';

  constructor(handler: JsonHandler) {
    this.#handler = handler;
    this.#tokens.onToken = ({ token, value }) => this.#onToken(token, value as JsonScalar);
    this.#tokens.onError = (error) => {
      throw error;
    };
    this.#tokens.onEnd = () => undefined;
  }

  /** @throws DumpError when it is no JSON; what the handler throws */
  write(bytes: Uint8Array): void {
    this.#attempt(() => this.#tokens.write(bytes));
  }

  /** @throws DumpError when something is missing */
  end(): void {
    if (this.#expected !== 'nothing')
      throw new DumpError('the file ends in the middle of the dump');
    // It may be in the middle of a number.
    this.#attempt(() => this.#tokens.end());
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof CodedError) throw error;
      throw new DumpError(`it is no JSON: ${(error as Error).message}`, error);
    }
  }

  #onToken(token: TokenType, value: JsonScalar): void {
    switch (token) {
      case TokenType.LEFT_BRACE:
        return this.#start('{');
      case TokenType.LEFT_BRACKET:
        return this.#start('[');
      case TokenType.RIGHT_BRACE:
        return this.#end('{', 'keyOrEnd');
      case TokenType.RIGHT_BRACKET:
        return this.#end('[', 'valueOrEnd');
      case TokenType.COLON:
        return this.#go('colon', 'value');
      case TokenType.COMMA:
        return this.#go('commaOrEnd', this.#open.at(-1) === '{' ? 'key' : 'value');
      case TokenType.STRING:
        if (this.#expected === 'key' || this.#expected === 'keyOrEnd') {
          this.#expected = 'colon';
          return this.#handler.onKey(String(value));
        }
        return this.#scalar(value);
      case TokenType.NUMBER:
        return this.#scalar(exactNumber(Number(value), this.#tokens.digits));
      default:
        return this.#scalar(value);
    }
  }

  #start(kind: '{' | '['): void {
    this.#checkValue();
    this.#open.push(kind);
    this.#expected = kind === '{' ? 'keyOrEnd' : 'valueOrEnd';
    this.#handler.onStart(kind);
  }

  #end(kind: '{' | '[', whenEmpty: Expected): void {
    const isExpected = this.#expected === 'commaOrEnd' || this.#expected === whenEmpty;
    if (!isExpected || this.#open.at(-1) !== kind) throw this.#unexpected();
    this.#open.pop();
    this.#afterValue();
    this.#handler.onEnd();
  }

  #scalar(value: JsonScalar): void {
    this.#checkValue();
    this.#afterValue();
    this.#handler.onScalar(value);
  }

  #checkValue(): void {
    if (this.#expected !== 'value' && this.#expected !== 'valueOrEnd') throw this.#unexpected();
  }

  #afterValue(): void {
    this.#expected = this.#open.length === 0 ? 'nothing' : 'commaOrEnd';
  }

  #go(from: Expected, to: Expected): void {
    if (this.#expected !== from) throw this.#unexpected();
    this.#expected = to;
  }

  #unexpected(): DumpError {
    return new DumpError(`it is no JSON: something else where ${WORDS[this.#expected]} must be`);
  }
}

const WORDS: Readonly<Record<Expected, string>> = {
  ...{ value: 'a value', valueOrEnd: 'a value or ]', key: 'a name', keyOrEnd: 'a name or }' },
  ...{ colon: 'a colon', commaOrEnd: 'a comma or an end', nothing: 'the end' },
};

function exactNumber(value: number, digits: string): number | bigint {
  return Number.isSafeInteger(value) || !INTEGER.test(digits) ? value : BigInt(digits);
}
