import type { BlockId, BlockKey } from '../../block/block-key.ts';
import { blockIdOf } from '../../block/block-key.ts';
import type { ByteRange } from '../../block/byte-range.ts';
import type { Asked, BlockHandler, HeldIn, HeldRange } from '../../peer/block-exchange.ts';
import { HeldServer, type HeldServerParts } from '../held-server.ts';
import type { SharedFiles } from '../shared-files.ts';
import type { MainCalls } from './main-calls.ts';

/** What {@link ThreadBlocks} works with. */
export interface ThreadBlocksParts extends HeldServerParts {
  /** Undefined without a cache directory. */
  readonly files: SharedFiles | undefined;
  readonly main: MainCalls;
}

/**
 * Answers peers on a thread of their own: from memory and from open cache files by itself; what is
 * not there is brought by the main thread.
 */
export class ThreadBlocks implements BlockHandler {
  readonly #parts: ThreadBlocksParts;
  readonly #held: HeldServer;

  constructor(parts: ThreadBlocksParts) {
    this.#parts = parts;
    this.#held = new HeldServer(parts);
  }

  hold(key: BlockKey, range: ByteRange, asked: Asked): HeldRange | undefined {
    return this.#held.hold(key, range, asked);
  }

  async *serve(
    key: BlockKey,
    range: ByteRange,
    signal: AbortSignal,
    asked: Asked,
  ): AsyncIterable<Uint8Array> {
    const end = range.offset + range.length;
    let at = range.offset;
    for await (const bytes of this.#fromFile(key, range, { signal, asked })) {
      yield bytes;
      at += bytes.byteLength;
    }
    if (at === end) return;
    yield* this.#parts.main.serve(key, { offset: at, length: end - at }, signal, asked);
  }

  holds(ids: readonly BlockId[], signal: AbortSignal): Promise<HeldIn[]> {
    return this.#parts.main.holds(ids, signal);
  }

  async *#fromFile(
    key: BlockKey,
    range: ByteRange,
    { signal, asked }: { signal: AbortSignal; asked: Asked },
  ): AsyncGenerator<Uint8Array> {
    const { files, gate, metrics } = this.#parts;
    if (files === undefined) return;
    const isWhole = range.length === key.sizeBytes;
    let sentBytes = 0;
    let leave: ((isDone: boolean) => void) | undefined;
    try {
      for await (const bytes of files.read(key, range, signal)) {
        // Only now the block is known to be on disk; what the main thread serves it counts itself.
        leave ??= await gate.admit(blockIdOf(key), { ...asked, isWhole }, signal);
        yield bytes;
        sentBytes += bytes.byteLength;
      }
      if (sentBytes < range.length) return;
      metrics.event('served');
      metrics.read('disk', sentBytes);
    } finally {
      leave?.(isWhole && sentBytes === range.length);
    }
  }
}
