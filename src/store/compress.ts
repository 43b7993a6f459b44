import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { compress as compressLz4 } from 'lz4-napi';
import type { Compression } from './decompress.ts';

/** The library puts the plain length in front; JuiceFS has it in the object's name. */
const LZ4_SIZE_BYTES = 4;
/** What JuiceFS compresses with. */
const ZSTD_LEVEL = 1;
const zstd = promisify(zstdCompress);

/**
 * Compresses a block, off the main thread, into what `decompress` and stock clients read. There is no
 * way to store a block of a compressed volume as it is, so the result may be longer than the block.
 *
 * @returns `plain` itself when the volume is not compressed
 */
export async function compress(compression: Compression, plain: Uint8Array): Promise<Uint8Array> {
  switch (compression) {
    case 'none':
      return plain;
    case 'lz4':
      return (await compressLz4(plain)).subarray(LZ4_SIZE_BYTES);
    case 'zstd':
      return zstd(plain, {
        // With its length in front a frame can be decoded into one buffer of the right size.
        pledgedSrcSize: plain.byteLength,
        params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
      });
  }
}
