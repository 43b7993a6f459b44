import { MetaError } from '../engine.ts';

/** `client-cache-expire` of JuiceFS unless the URL says something else. */
const EXPIRY_MS = 60_000;
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** What a metadata URL says of caches that the server keeps coherent. */
export interface ClientCache {
  readonly expiryMs: number;
  /** Attributes, and names, at most; undefined: the URL does not say. */
  readonly sizeMax: number | undefined;
}

/**
 * Reads `client-cache` (on unless it is `false`; JuiceFS has it off), `client-cache-expire` (like `60s` or
 * `1m30s`) and `client-cache-size`.
 *
 * @returns undefined when it is off
 * @throws MetaError `bad-url`
 */
export function parseClientCache(query: ReadonlyMap<string, string>): ClientCache | undefined {
  if (query.get('client-cache') === 'false') return undefined;
  const expire = query.get('client-cache-expire') ?? '';
  const size = query.get('client-cache-size') ?? '';
  return {
    expiryMs: expire === '' ? EXPIRY_MS : parseDuration(expire),
    sizeMax: size === '' ? undefined : parseSize(size),
  };
}

function parseDuration(text: string): number {
  const parts = [...text.matchAll(/([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)/g)];
  const isWhole = parts.map(([part]) => part).join('') === text;
  if (!isWhole) throw badUrl(`client-cache-expire=${text} is no duration like 60s`);
  return parts.reduce((ms, [, amount, unit]) => {
    return ms + Number(amount) * (UNITS_MS[unit as string] as number);
  }, 0);
}

function parseSize(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw badUrl(`client-cache-size=${text} is no number`);
  return Number(text);
}

function badUrl(problem: string): MetaError {
  return new MetaError('bad-url', `metadata URL: ${problem}`);
}
