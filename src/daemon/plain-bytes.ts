import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';

/** What files begin with. @see RFC 1952, RFC 8878 */
const GZIP = Buffer.from([0x1f, 0x8b]);
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/**
 * Reads a file that may be compressed (gzip, zstd): its first bytes tell.
 *
 * @param each - is given its bytes, one part after the other
 * @throws what reading, decompressing or `each` throws; the signal's reason
 */
export async function readPlain(
  source: AsyncIterable<Uint8Array>,
  each: (bytes: Uint8Array) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const parts = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.byteLength < ZSTD.byteLength) {
    const next = await parts.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  async function* all(): AsyncGenerator<Uint8Array, void, undefined> {
    yield head;
    for (let next = await parts.next(); next.done !== true; next = await parts.next()) {
      yield next.value;
    }
  }
  const consume = async (plain: AsyncIterable<Uint8Array>) => {
    for await (const bytes of plain) await each(bytes);
  };
  const isGzip = head.subarray(0, GZIP.byteLength).equals(GZIP);
  const isZstd = head.subarray(0, ZSTD.byteLength).equals(ZSTD);
  const bytes = Readable.from(all());
  if (isGzip) await pipeline(bytes, createGunzip(), consume, { signal });
  else if (isZstd) await pipeline(bytes, createZstdDecompress(), consume, { signal });
  else await pipeline(bytes, consume, { signal });
}
