import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { uncompress } from 'lz4-napi';

/** How the blocks of a volume are compressed. */
export type Compression = 'none' | 'lz4' | 'zstd';

const LZ4_SIZE_BYTES = 4;
const unzstd = promisify(zstdDecompress);

/** No compressor makes a block longer than this (LZ4_compressBound, which is the larger bound). */
export function compressedBytesMax(plainBytes: number): number {
  return plainBytes + Math.ceil(plainBytes / 128) + 1024;
}

/**
 * Decompresses a block, off the main thread.
 *
 * @param plainBytes - the block's plain length; more output than that is an error
 * @returns the plain bytes; the caller checks how many they are
 * @throws Error when it does not decode
 */
export async function decompress(
  compression: Compression,
  stored: Uint8Array,
  plainBytes: number,
): Promise<Uint8Array> {
  switch (compression) {
    case 'none':
      return stored;
    case 'lz4':
      return uncompress(withSize(stored, plainBytes));
    case 'zstd':
      // One output buffer of the right size instead of many of 16 KiB, each a trip to a thread.
      return unzstd(stored, { maxOutputLength: plainBytes, chunkSize: Math.max(64, plainBytes) });
  }
}

/**
 * JuiceFS stores the bare LZ4 block, its length is in the object's name; the library wants the
 * length in front, as 4 little-endian bytes.
 */
function withSize(stored: Uint8Array, plainBytes: number): Uint8Array {
  const framed = Buffer.allocUnsafeSlow(LZ4_SIZE_BYTES + stored.byteLength);
  framed.writeUInt32LE(plainBytes);
  framed.set(stored, LZ4_SIZE_BYTES);
  return framed;
}
