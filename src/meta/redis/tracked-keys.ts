import { type Ino, toIno } from '../../posix/ino.ts';
import type { Changes } from '../change-stream.ts';
import type { RedisKeys } from './redis-keys.ts';

const LETTERS = { attr: 'i', directory: 'd' } as const;

/**
 * The first parts of the keys that are tracked, as stock clients have them: the server makes each message
 * once for all who track the same. Some more keys of a volume begin like this.
 */
export function trackedPrefixes({ prefix }: RedisKeys): string[] {
  return [`${prefix}${LETTERS.attr}`, `${prefix}${LETTERS.directory}`];
}

/** Tells what changed from the names of keys. Other keys say nothing. */
export function changesOf(keys: readonly unknown[], { prefix }: RedisKeys): Changes {
  const attrs: Ino[] = [];
  const names: Ino[] = [];
  for (const key of keys) {
    const text = String(key);
    if (!text.startsWith(prefix)) continue;
    const ino = inoOf(text.slice(prefix.length + 1));
    if (ino === undefined) continue;
    if (text[prefix.length] === LETTERS.attr) attrs.push(ino);
    else if (text[prefix.length] === LETTERS.directory) names.push(ino);
  }
  return { attrs, names };
}

function inoOf(digits: string): Ino | undefined {
  return /^[0-9]{1,20}$/.test(digits) ? toIno(BigInt(digits)) : undefined;
}
