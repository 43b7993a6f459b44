import { type BlockId, type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import { crc32cOf } from '../../src/block/checksum.ts';
import { type SeededRandom, seededRandom, seedOf } from '../world/seeded-random.ts';
import type { SimStock } from '../world/sim-stock.ts';

const STAMP_BYTES = 8;

/** How large blocks are. */
export interface VolumeShape {
  readonly blocks: number;
  /** Of the smallest and of the largest block; each lies somewhere between. */
  readonly bytesMin: number;
  readonly bytesMax: number;
}

/** What the blocks of a volume contain: the truth that every read is compared with. */
export class SimVolume {
  readonly keys: readonly BlockKey[];
  readonly #stock: SimStock;
  readonly #bytes = new Map<BlockId, Uint8Array>();

  constructor(shape: VolumeShape, random: SeededRandom, stock: SimStock) {
    this.#stock = stock;
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
      bytes = cutBytes(this.#stock.pool, id, key.sizeBytes);
      this.#bytes.set(id, bytes);
    }
    return bytes;
  }

  /** CRC-32C of a block. */
  crcOf(key: BlockKey): number {
    return crc32cOf(this.bytesOf(key));
  }
}

function cutBytes(pool: Uint8Array, id: BlockId, sizeBytes: number): Uint8Array {
  const seed = seedOf(id);
  const from = seed % (pool.byteLength - sizeBytes);
  const bytes = pool.slice(from, from + sizeBytes);
  // Blocks that happen to be cut at the same place still differ.
  const stamp = seededRandom(seed).bytes(Math.min(STAMP_BYTES, sizeBytes));
  bytes.set(stamp);
  return bytes;
}
