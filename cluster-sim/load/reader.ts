import { type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import type { ByteRange } from '../../src/block/byte-range.ts';
import { CodedError } from '../../src/runtime/coded-error.ts';
import { sleep } from '../../src/runtime/deadline.ts';
import type { Cluster } from '../node/cluster.ts';
import type { NodeProcess } from '../node/node-process.ts';
import type { SimNode } from '../node/sim-node.ts';
import type { SeededRandom } from '../world/seeded-random.ts';
import type { LoadShape } from './load-shape.ts';
import type { ReadLog } from './read-log.ts';

/** As the file system does it: --io-retries, and its pauses. @see src/vfs/reader.ts */
const RETRIES = 10;
const RETRY_STEP_MS = 300;
/** What was read is held for up to so long before it is compared. */
const HOLD_MS_MAX = 5;
/** How often a reader looks whether its node is back. */
const LOOK_MS = 20;

/** What a reader works with. */
export interface ReaderParts {
  readonly cluster: Cluster;
  readonly node: SimNode;
  readonly log: ReadLog;
}

/** A program on a node that reads blocks and compares every byte with the truth. */
export class Reader {
  readonly #parts: ReaderParts;
  readonly #random: SeededRandom;
  readonly #signal = new AbortController().signal;

  /** @param number - of the reader on its node */
  constructor(parts: ReaderParts, number: number) {
    this.#parts = parts;
    this.#random = parts.cluster.world.random.fork(`reader ${parts.node.number}/${number}`);
  }

  /** Reads as `load` says; resolves when all reads are over. */
  async run(load: LoadShape): Promise<void> {
    const { world, volume } = this.#parts.cluster;
    const order = this.#orderOf(load, volume.keys);
    for (let count = 0; count < load.reads; count += 1) {
      await world.sleep(this.#random.between(0, load.thinkMs));
      const key = order(count);
      if (load.readAhead) await this.#prefetch(order(count + 1));
      await this.read(key, this.#rangeOf(key, load));
    }
  }

  /** Reads a range of a block once; waits for the node's daemon first. */
  async read(key: BlockKey, range: ByteRange): Promise<void> {
    const { log, node, cluster } = this.#parts;
    const process = await this.#daemon();
    const isWhole = range.length === key.sizeBytes;
    const entry = log.begin(node.number, blockIdOf(key), process.time.pausedMs);
    // A daemon that dies takes the program's read with it.
    const outcome = await Promise.race([
      this.#insist(process, key, range, isWhole),
      process.gone.then(() => 'lost' as const),
    ]);
    log.end(entry, outcome, process.time.pausedMs);
    const kind = outcome instanceof Error ? 'error' : outcome;
    cluster.world.trace.note('read', node.number, entry.block, kind);
  }

  async #daemon(): Promise<NodeProcess> {
    const { node, cluster } = this.#parts;
    for (;;) {
      const { process } = node;
      if (process?.isReady === true && process.time.isRunning) return process;
      await cluster.world.sleep(LOOK_MS);
    }
  }

  async #prefetch(key: BlockKey): Promise<void> {
    const process = await this.#daemon();
    process.loader.prefetch(key);
  }

  async #insist(
    process: NodeProcess,
    key: BlockKey,
    range: ByteRange,
    whole: boolean,
  ): Promise<'right' | 'wrong' | Error> {
    const { cluster } = this.#parts;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const held = await process.loader.read(key, range, { whole, signal: this.#signal });
        // Held bytes stay what they are, as long as they are held.
        await sleep(process.time, this.#random.between(0, HOLD_MS_MAX));
        const truth = cluster.volume.bytesOf(key);
        const wanted = truth.subarray(range.offset, range.offset + range.length);
        const isRight = Buffer.compare(held.bytes, wanted) === 0;
        held.release();
        return isRight ? 'right' : 'wrong';
      } catch (error) {
        const failure = error instanceof Error ? error : new Error(String(error));
        const mayPass = failure instanceof CodedError;
        if (!mayPass || attempt > RETRIES) return failure;
        await sleep(process.time, (attempt - 1) * RETRY_STEP_MS + 1);
      }
    }
  }

  #rangeOf(key: BlockKey, { partShare }: LoadShape): ByteRange {
    if (!this.#random.chance(partShare)) return { offset: 0, length: key.sizeBytes };
    const offset = this.#random.below(key.sizeBytes);
    return { offset, length: 1 + this.#random.below(key.sizeBytes - offset) };
  }

  #orderOf({ pattern }: LoadShape, keys: readonly BlockKey[]): (count: number) => BlockKey {
    const random = this.#random;
    const at = (index: number) => keys[index % keys.length] as BlockKey;
    const from = random.below(keys.length);
    switch (pattern) {
      case 'random':
        return () => random.pick(keys);
      case 'hot':
        // Half of all reads go to a few blocks.
        return () => at(random.chance(0.5) ? random.below(3) : random.below(keys.length));
      case 'sequential':
        return (count) => at(from + count);
      case 'job':
        return (count) => at(count);
    }
  }
}
