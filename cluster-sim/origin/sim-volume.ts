import { type BlockId, type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import { crc32cOf } from '../../src/block/checksum.ts';
import { type SeededRandom, seededRandom, seedOf } from '../world/seeded-random.ts';

/** Bytes that all blocks of all volumes are cut from. */
const POOL_BYTES = 8 * 1024 * 1024;
const STAMP_BYTES = 8;

/** How large blocks are. */
export interface VolumeShape {
  readonly blocks: number;
  /** Of the smallest and of the largest block; each lies somewhere between. */
  readonly bytesMin: number;
  readonly bytesMax: number;
}

/** Random bytes, the same in every process. */
let pool: Uint8Array | undefined;

/** What the blocks of a volume contain: the truth that every read is compared with. */
export class SimVolume {
  readonly keys: readonly BlockKey[];
  readonly #bytes = new Map<BlockId, Uint8Array>();

  constructor(shape: VolumeShape, random: SeededRandom) {
    const { bytesMin, bytesMax } = shape;
    this.keys = Array.from({ length: shape.blocks }, (_, at) => ({
      sliceId: BigInt(1_000 + at),
      index: at % 4,
      sizeBytes: Math.floor(random.between(bytesMin, bytesMax + 1)),
    }));
  }

  /** The bytes of a block. Not to be changed. */
  bytesOf(key: BlockKey): Uint8Array {
    const id = blockIdOf(key);
    let bytes = this.#bytes.get(id);
    if (bytes === undefined) {
      bytes = makeBytes(id, key.sizeBytes);
      this.#bytes.set(id, bytes);
    }
    return bytes;
  }

  /** CRC-32C of a block. */
  crcOf(key: BlockKey): number {
    return crc32cOf(this.bytesOf(key));
  }
}

function makeBytes(id: BlockId, sizeBytes: number): Uint8Array {
  pool ??= makePool();
  const seed = seedOf(id);
  const from = seed % (POOL_BYTES - sizeBytes);
  const bytes = pool.slice(from, from + sizeBytes);
  // Blocks that happen to be cut at the same place still differ.
  const stamp = seededRandom(seed).bytes(Math.min(STAMP_BYTES, sizeBytes));
  bytes.set(stamp);
  return bytes;
}

function makePool(): Uint8Array {
  const words = new Uint32Array(POOL_BYTES / 4);
  const random = seededRandom(1);
  for (let at = 0; at < words.length; at += 1) words[at] = random.below(2 ** 32);
  return new Uint8Array(words.buffer);
}
