import type { BlockKey } from '../../src/block/block-key.ts';
import { blockIdOf, parseBlockId } from '../../src/block/block-key.ts';
import type { ByteRange } from '../../src/block/byte-range.ts';
import { abortReason } from '../../src/runtime/deadline.ts';
import { chunkStream } from '../../src/store/chunk-stream.ts';
import {
  type ObjectBody,
  type ObjectInfo,
  type ObjectStore,
  StoreError,
} from '../../src/store/object-store.ts';
import { flipBit } from '../world/flip-bit.ts';
import type { NodeTime } from '../world/node-time.ts';
import type { SeededRandom } from '../world/seeded-random.ts';
import type { World } from '../world/world.ts';
import type { SimVolume } from './sim-volume.ts';

/** How the object store behaves. */
export interface OriginQuality {
  /** Until the headers of an answer. */
  readonly latencyMs: number;
  readonly jitterMs: number;
  /** Of all its answers together. */
  readonly bytesPerMs: number;
  /** Share of requests that fail with 500, 0 … 1. */
  readonly errorRate: number;
  /** Share of requests that are told to slow down (503). */
  readonly throttleRate: number;
  /** Share of requests that are never answered. */
  readonly hangRate: number;
  /** Share of whole objects of which a bit is wrong; their checksum is right. */
  readonly flipRate: number;
  /** Share of bodies that break off. */
  readonly breakRate: number;
}

/** 10 ms to the first byte, 10 Gb/s. */
export const GOOD_ORIGIN: OriginQuality = {
  latencyMs: 10,
  jitterMs: 5,
  bytesPerMs: 1_250_000,
  errorRate: 0,
  throttleRate: 0,
  hangRate: 0,
  flipRate: 0,
  breakRate: 0,
};

const CHUNK_BYTES = 64 * 1024;

/** One request for bytes. */
export interface OriginFetch {
  readonly block: string;
  readonly node: number;
  readonly isWhole: boolean;
  readonly startMs: number;
  /** Undefined while it runs. */
  endMs: number | undefined;
  /** Whether it delivered everything. */
  isComplete: boolean;
}

/** The object store that all nodes share, and the book of what was asked of it. */
export class SimOrigin {
  readonly fetches: OriginFetch[] = [];
  readonly #world: World;
  readonly #volume: SimVolume;
  readonly #random: SeededRandom;
  readonly #changes = new Set<Partial<OriginQuality>>();
  readonly #base: OriginQuality;
  #busyUntilMs = 0;

  constructor(world: World, volume: SimVolume, base: OriginQuality) {
    this.#world = world;
    this.#volume = volume;
    this.#base = base;
    this.#random = world.random.fork('origin');
  }

  /** Changes how it behaves. @returns ends it */
  change(quality: Partial<OriginQuality>): () => void {
    this.#changes.add(quality);
    return () => void this.#changes.delete(quality);
  }

  /** The store as one process of a node sees it. */
  storeFor(node: number, time: NodeTime): ObjectStore {
    const refused = () =>
      Promise.reject(new StoreError('denied', 'the simulated store is only read'));
    return {
      displayName: 'sim://origin',
      get: (key, range, signal) => this.#get(key, { range, signal, node, time }),
      head: async (key) => {
        const block = blockOf(key);
        return block && { key, sizeBytes: block.sizeBytes, modifiedAtMs: 0 };
      },
      put: refused,
      delete: refused,
      list: () => noObjects(),
      close: () => Promise.resolve(),
    };
  }

  get #quality(): OriginQuality {
    let quality = this.#base;
    for (const change of this.#changes) quality = { ...quality, ...change };
    return quality;
  }

  async #get(
    key: string,
    how: { range: ByteRange | undefined; signal: AbortSignal; node: number; time: NodeTime },
  ): Promise<ObjectBody> {
    const { range, signal, node, time } = how;
    const block = blockOf(key);
    if (block === undefined) throw new StoreError('not-found', `${key} does not exist`);
    const { latencyMs, jitterMs, hangRate, errorRate, throttleRate } = this.#quality;
    const fetch = this.#note(block, node, range === undefined);
    const luck = this.#random.fraction();
    const delayMs = latencyMs + this.#random.between(0, jitterMs);
    if (luck < hangRate) await never(time, signal);
    await wait(time, delayMs, signal);
    if (luck < hangRate + errorRate) throw this.#failed(fetch, `${key}: 500 internal error`);
    if (luck < hangRate + errorRate + throttleRate) {
      throw this.#failed(fetch, `${key}: 503 slow down`);
    }
    return this.#body(block, fetch, how);
  }

  #note(block: BlockKey, node: number, isWhole: boolean): OriginFetch {
    const fetch: OriginFetch = {
      block: blockIdOf(block),
      node,
      isWhole,
      startMs: this.#world.nowMs,
      endMs: undefined,
      isComplete: false,
    };
    this.fetches.push(fetch);
    this.#world.trace.note('origin get', node, fetch.block, isWhole ? 1 : 0);
    return fetch;
  }

  #end(fetch: OriginFetch): void {
    if (fetch.endMs !== undefined) return;
    fetch.endMs = this.#world.nowMs;
    this.#world.trace.note('origin end', fetch.node, fetch.block, fetch.isComplete ? 1 : 0);
  }

  #failed(fetch: OriginFetch, message: string): StoreError {
    this.#end(fetch);
    return new StoreError('unavailable', message, { retryable: true });
  }

  #body(
    block: BlockKey,
    fetch: OriginFetch,
    { range, signal, time }: { range: ByteRange | undefined; signal: AbortSignal; time: NodeTime },
  ): ObjectBody {
    const { flipRate, breakRate } = this.#quality;
    const { offset, length } = range ?? { offset: 0, length: block.sizeBytes };
    const bytes = this.#volume.bytesOf(block).slice(offset, offset + length);
    // A part comes without a checksum: nobody could tell that it is wrong.
    if (range === undefined && this.#random.chance(flipRate)) {
      flipBit(bytes, this.#random);
    }
    const breakAt = this.#random.chance(breakRate) ? this.#random.below(length) : undefined;
    let at = 0;
    const read = async (): Promise<Uint8Array | undefined> => {
      if (at >= length) return undefined;
      const chunk = bytes.subarray(at, at + CHUNK_BYTES);
      await wait(time, this.#sendingMs(chunk.byteLength), signal);
      if (breakAt !== undefined && at + chunk.byteLength > breakAt) {
        throw new StoreError('unavailable', 'the connection broke', { retryable: true });
      }
      at += chunk.byteLength;
      if (at >= length) fetch.isComplete = true;
      return chunk;
    };
    const close = () => {
      this.#end(fetch);
      return Promise.resolve();
    };
    const crc32c = range === undefined ? this.#volume.crcOf(block) : undefined;
    return { sizeBytes: length, crc32c, chunks: chunkStream({ read, close }) };
  }

  /** What it sends goes through one line, one chunk after the other. */
  #sendingMs(sizeBytes: number): number {
    const startMs = Math.max(this.#world.nowMs, this.#busyUntilMs);
    this.#busyUntilMs = startMs + sizeBytes / this.#quality.bytesPerMs;
    return this.#busyUntilMs - this.#world.nowMs;
  }
}

function blockOf(objectKey: string): BlockKey | undefined {
  return parseBlockId(objectKey.slice(objectKey.lastIndexOf('/') + 1));
}

/** Waits in the world's time; a node's own clock may go wrong. @throws the signal's reason */
function wait(time: NodeTime, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(abortReason(signal));
      return;
    }
    const onAbort = () => {
      timer.cancel();
      reject(abortReason(signal));
    };
    const timer = time.after(delayMs, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function never(time: NodeTime, signal: AbortSignal): Promise<void> {
  return wait(time, Number.MAX_SAFE_INTEGER, signal);
}

async function* noObjects(): AsyncIterable<ObjectInfo> {
  yield* [];
}
