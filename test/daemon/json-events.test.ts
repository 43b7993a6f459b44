import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DumpError, JsonEvents, type JsonScalar } from '../../src/daemon/json-events.ts';

type Built = JsonScalar | Built[] | { [name: string]: Built };

/** Parses by events, of a text that comes in two parts. */
function parse(text: string, at: number): Built {
  const open: Built[] = [];
  const keys: string[] = [];
  let whole: Built | undefined;
  let key = '';
  const add = (value: Built) => {
    const into = open.at(-1);
    if (into === undefined) whole = value;
    else if (Array.isArray(into)) into.push(value);
    else Object.defineProperty(into, key, { value, enumerable: true, configurable: true });
  };
  const events = new JsonEvents({
    onStart: (kind) => {
      const value = kind === '{' ? {} : [];
      add(value);
      keys.push(key);
      open.push(value);
    },
    onEnd: () => {
      open.pop();
      key = keys.pop() ?? '';
    },
    onKey: (name) => {
      key = name;
    },
    onScalar: add,
  });
  const bytes = Buffer.from(text, 'utf8');
  events.write(bytes.subarray(0, at));
  events.write(bytes.subarray(at));
  events.end();
  return whole as Built;
}

/** By the library of the language, integers that doubles would round as bigints. */
function expectedOf(text: string): unknown {
  const exact = (_key: string, value: unknown, { source = '' }: { source?: string }) => {
    const isRounded = typeof value === 'number' && !Number.isSafeInteger(value);
    return isRounded && /^-?[0-9]+$/.test(source) ? BigInt(source) : value;
  };
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
}

test('a text gives what JSON.parse gives, wherever it is cut', () => {
  // A number alone has no end.
  const texts = fc.json().filter((text) => /^\s*[[{]/.test(text));
  fc.assert(
    fc.property(texts, fc.nat(200), (text, at) => {
      expect(parse(text, at)).toEqual(expectedOf(text));
    }),
  );
});

test('numbers keep all their digits', () => {
  const text = '[9223372032828243969, -9223372036854775808, 7, -1, 1.5, 1e3]';
  const expected = [9_223_372_032_828_243_969n, -(1n << 63n), 7, -1, 1.5, 1000];
  expect(parse(text, 9)).toEqual(expected);
});

test('a text with something wrong is refused as JSON.parse refuses it', () => {
  const broken = fc
    .tuple(fc.json(), fc.nat(), fc.constantFrom('{', '}', '[', ']', ':', ',', '"', '0', 'a', ' '))
    .filter(([text]) => /^\s*[[{]/.test(text))
    .map(([text, at, character]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + character + text.slice(place);
    });
  fc.assert(
    fc.property(broken, (text) => {
      const outcome = (work: () => unknown) => {
        try {
          return work();
        } catch (error) {
          const isRefusal = error instanceof DumpError || error instanceof SyntaxError;
          return isRefusal ? 'refused' : error;
        }
      };
      expect(outcome(() => parse(text, 3))).toEqual(outcome(() => expectedOf(text)));
    }),
  );
});
