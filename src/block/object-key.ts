import { type BlockKey, blockIdOf, parseBlockId } from './block-key.ts';

const SLICES_PER_DIRECTORY = 1_000n;
const SLICES_PER_TOP_DIRECTORY = 1_000_000n;
const HASH_DIRECTORIES = 256n;

/** What of a volume's setting decides about the names of its objects. */
export interface ObjectNaming {
  /** The volume's name, first part of each key. */
  readonly volumeName: string;
  readonly hashPrefix: boolean;
}

/**
 * The full key of a block's object, as JuiceFS names it:
 * `<volume>/chunks/<id / 10^6>/<id / 10^3>/<block>`, with hash prefix
 * `<volume>/chunks/<id mod 256, two upper-case hex digits>/<id / 10^6>/<block>`.
 */
export function objectKeyOf(naming: ObjectNaming, key: BlockKey): string {
  return `${naming.volumeName}/${chunkPathOf(naming.hashPrefix, key)}`;
}

/** The object key without the volume's name; JuiceFS's cache files lie at this path too. */
export function chunkPathOf(hashPrefix: boolean, key: BlockKey): string {
  const { sliceId } = key;
  const top = sliceId / SLICES_PER_TOP_DIRECTORY;
  if (!hashPrefix) return `chunks/${top}/${sliceId / SLICES_PER_DIRECTORY}/${blockIdOf(key)}`;
  const hash = (sliceId % HASH_DIRECTORIES).toString(16).toUpperCase().padStart(2, '0');
  return `chunks/${hash}/${top}/${blockIdOf(key)}`;
}

/** How the objects of a volume are named, by its setting. */
export function namingOf(setting: {
  readonly name: string;
  readonly hashPrefix: boolean;
}): ObjectNaming {
  return { volumeName: setting.name, hashPrefix: setting.hashPrefix };
}

/** The inverse of {@link objectKeyOf}. @returns undefined for what is no block of the volume */
export function parseObjectKey(naming: ObjectNaming, objectKey: string): BlockKey | undefined {
  const key = parseBlockId(objectKey.slice(objectKey.lastIndexOf('/') + 1));
  return key !== undefined && objectKeyOf(naming, key) === objectKey ? key : undefined;
}

const FNV_OFFSET_BASIS = 2_166_136_261;
const FNV_PRIME = 16_777_619;
const encoder = new TextEncoder();

/**
 * FNV-1a, 32 bits, over the UTF-8 bytes of `text`.
 *
 * @see http://www.isthe.com/chongo/tech/comp/fnv/ (RFC 9923)
 */
export function fnv1a32(text: string): number {
  let hash = FNV_OFFSET_BASIS;
  for (const byte of encoder.encode(text)) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash >>> 0;
}

/**
 * Which of a volume's buckets holds an object.
 *
 * @param objectKey - the full key, the volume's name included
 * @param shards - number of buckets, ≥ 1
 * @returns 0 … `shards` − 1
 */
export function shardOf(objectKey: string, shards: number): number {
  return shards === 1 ? 0 : fnv1a32(objectKey) % shards;
}
