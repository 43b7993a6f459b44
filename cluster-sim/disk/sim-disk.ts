import { flipBit } from '../world/flip-bit.ts';
import type { SeededRandom } from '../world/seeded-random.ts';
import type { World } from '../world/world.ts';

/** How a disk behaves. */
export interface DiskQuality {
  /** Of each call. */
  readonly latencyMs: number;
  readonly bytesPerMs: number;
  /** Share of calls that fail with EIO, 0 … 1. */
  readonly errorRate: number;
  /** Share of calls that never return. */
  readonly hangRate: number;
  /** Share of reads of which a bit is wrong. */
  readonly flipRate: number;
  /** What the file system holds. */
  readonly sizeBytes: number;
  /** Bytes of it that others use. */
  readonly foreignBytes: number;
}

/** An NVMe SSD: 0.1 ms, 2 GB/s. */
export const GOOD_DISK: DiskQuality = {
  latencyMs: 0.1,
  bytesPerMs: 2_000_000,
  errorRate: 0,
  hangRate: 0,
  flipRate: 0,
  sizeBytes: 64 * 2 ** 20,
  foreignBytes: 0,
};

/** A file, or a folder when `bytes` is undefined. */
export interface SimFile {
  bytes: Uint8Array | undefined;
  modifiedAtMs: number;
}

/** Young data that a power cut takes away: nothing is ever synced. ext4 writes back after 5 to 30 s. */
const UNSYNCED_MS = 10_000;

/** What lies on a machine's cache disk. It outlives processes. */
export class SimDisk {
  readonly files = new Map<string, SimFile>();
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #changes = new Set<Partial<DiskQuality>>();
  readonly #hanging: (() => void)[] = [];

  constructor(world: World, name: string) {
    this.#world = world;
    this.#random = world.random.fork(`disk ${name}`);
  }

  /** How it behaves now. */
  get quality(): DiskQuality {
    let quality = GOOD_DISK;
    for (const change of this.#changes) quality = { ...quality, ...change };
    return quality;
  }

  /** The world's time, which file times are taken from. */
  get nowMs(): number {
    return this.#world.nowMs;
  }

  /** Bytes of all files. */
  get usedBytes(): number {
    let sum = 0;
    for (const { bytes } of this.files.values()) sum += bytes?.byteLength ?? 0;
    return sum;
  }

  /** Changes how it behaves. @returns ends it; calls that hang fail then */
  change(quality: Partial<DiskQuality>): () => void {
    this.#changes.add(quality);
    return () => {
      this.#changes.delete(quality);
      for (const fail of this.#hanging.splice(0)) fail();
    };
  }

  /** A call hangs. @param fail - called when the disk is well again */
  hang(fail: () => void): void {
    this.#hanging.push(fail);
  }

  /** Turns a bit of some files around. @returns how many files were hit */
  flipBits(count: number): number {
    const filled = [...this.files.values()].filter(({ bytes }) => (bytes?.byteLength ?? 0) > 0);
    let hit = 0;
    for (; hit < count && filled.length > 0; hit += 1) {
      const { bytes } = this.#random.pick(filled);
      if (bytes !== undefined) flipBit(bytes, this.#random);
    }
    return hit;
  }

  /** Nothing is left: a new disk. */
  wipe(): void {
    this.files.clear();
  }

  /** Power was lost: what was written last is missing, short or full of zeros. */
  losePower(): void {
    const oldestMs = this.#world.nowMs - UNSYNCED_MS;
    for (const [path, file] of this.files) {
      const { bytes } = file;
      if (bytes === undefined || file.modifiedAtMs < oldestMs) continue;
      const kept = Math.floor(this.#random.between(0, bytes.byteLength));
      const fate = this.#random.below(4);
      if (fate === 0) this.files.delete(path);
      else if (fate === 1) file.bytes = bytes.slice(0, kept);
      else if (fate === 2) bytes.fill(0, kept);
    }
  }
}
