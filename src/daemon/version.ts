import { readFileSync } from 'node:fs';

/** This release, from the package's own description. */
export const VERSION: string = readVersion();

/** The JuiceFS client release whose behaviour we keep; volumes check it. */
export const JUICEFS_VERSION = '1.4.1';

function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
