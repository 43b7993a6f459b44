import { readFileSync } from 'node:fs';
import { MetaError } from './engine.ts';

/** Environment variables that an engine may look at, by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The password when the URL has none: the first of `names` that is set, else the trimmed content
 * of the file that `META_PASSWORD_FILE` names.
 *
 * @throws MetaError `bad-url` when that file cannot be read
 */
export function passwordFrom(env: Environment, names: readonly string[]): string {
  const name = names.find((candidate) => env[candidate]);
  if (name !== undefined) return env[name] ?? '';
  const path = env['META_PASSWORD_FILE'];
  if (!path) return '';
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new MetaError('bad-url', `META_PASSWORD_FILE: cannot read ${path}`, { cause });
  }
}
