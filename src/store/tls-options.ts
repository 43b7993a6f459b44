import { readFile } from 'node:fs/promises';
import { StoreError } from './object-store.ts';

/** How to prove who we are and whom we trust over TLS. */
export interface TlsOptions {
  readonly rejectUnauthorized?: boolean;
  /** PEM texts. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/**
 * Reads what a `Bucket`'s query says about TLS: `tls-insecure-skip-verify`, and `ca-certs`,
 * `ssl-cert`, `ssl-key` (paths of PEM files), which only count when all three are there.
 *
 * @throws StoreError (`bad-config`) when a file cannot be read or a value is neither true nor false
 */
export async function loadTlsOptions(bucket: string): Promise<TlsOptions> {
  const query = bucket.includes('?') ? bucket.slice(bucket.indexOf('?') + 1) : '';
  const values = new URLSearchParams(query);
  return { ...verification(values), ...(await certificates(values)) };
}

function verification(values: URLSearchParams): TlsOptions {
  const value = values.get('tls-insecure-skip-verify') || 'false';
  if (TRUE.has(value)) return { rejectUnauthorized: false };
  if (FALSE.has(value)) return {};
  throw new StoreError('bad-config', `tls-insecure-skip-verify=${value} is neither true nor false`);
}

async function certificates(values: URLSearchParams): Promise<TlsOptions> {
  const [ca, cert, key] = ['ca-certs', 'ssl-cert', 'ssl-key'].map((name) => values.get(name));
  if (!ca || !cert || !key) return {};
  return { ca: await read(ca), cert: await read(cert), key: await read(key) };
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const message = `cannot read '${path}' for TLS: ${(error as Error).message}`;
    throw new StoreError('bad-config', message, { cause: error });
  }
}
