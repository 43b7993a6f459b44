import { MetaError } from '../engine.ts';

/** `client-cache-expire` of JuiceFS unless the URL says something else. */
const EXPIRY_MS = 60_000;
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** What a metadata URL says of caches that the server keeps coherent. */
export interface ClientCache {
  readonly expiryMs: number;
}

/**
 * Reads `client-cache` (on unless it is `false`; JuiceFS has it off) and `client-cache-expire` (like
 * `60s` or `1m30s`).
 *
 * @returns undefined when it is off
 * @throws MetaError `bad-url`
 */
export function parseClientCache(query: ReadonlyMap<string, string>): ClientCache | undefined {
  if (query.get('client-cache') === 'false') return undefined;
  const text = query.get('client-cache-expire');
  if (text === undefined || text === '') return { expiryMs: EXPIRY_MS };
  const parts = [...text.matchAll(/([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)/g)];
  const isWhole = parts.map(([part]) => part).join('') === text;
  if (!isWhole) {
    const problem = `client-cache-expire=${text} is no duration like 60s`;
    throw new MetaError('bad-url', `metadata URL: ${problem}`);
  }
  const sum = parts.reduce((ms, [, amount, unit]) => {
    return ms + Number(amount) * (UNITS_MS[unit as string] as number);
  }, 0);
  return { expiryMs: sum };
}
