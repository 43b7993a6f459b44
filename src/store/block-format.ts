import type { ObjectNaming } from '../block/object-key.ts';
import type { Random } from '../runtime/random.ts';
import { compress } from './compress.ts';
import type { DataKey } from './data-key.ts';
import type { Compression } from './decompress.ts';
import { encryptObject } from './encrypt-object.ts';
import type { EncryptAlgo } from './object-cipher.ts';

/** How the blocks of a volume are named and stored. */
export interface BlockFormat {
  readonly naming: ObjectNaming;
  readonly compression: Compression;
  /** Undefined when the volume is not encrypted. */
  readonly encryption: { readonly dataKey: DataKey; readonly algo: EncryptAlgo } | undefined;
}

/**
 * A block as its object has it: compressed, then encrypted, as far as the volume wants that.
 *
 * @param plain - must not change until this resolves
 * @returns `plain` itself for a volume that wants neither
 */
export async function encodeBlock(
  { compression, encryption }: BlockFormat,
  plain: Uint8Array,
  random: Random,
): Promise<Uint8Array> {
  const compressed = await compress(compression, plain);
  if (encryption === undefined) return compressed;
  return encryptObject(compressed, encryption.dataKey, encryption.algo, random);
}
