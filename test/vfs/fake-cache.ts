import { type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import { toNodeId } from '../../src/block/node-id.ts';
import type { BlockHolder, SharedCache } from '../../src/mesh/warm/group-cache.ts';
import type { OnKept } from '../../src/mesh/warm/warm-run.ts';

/** The caches of a group, as one set of block names. */
export class FakeCache implements SharedCache {
  /** Names of the blocks that are cached. */
  readonly held = new Set<string>();
  /** Every block that was asked to be kept, in order. */
  readonly warmed: string[] = [];
  /** Blocks that no source has. */
  readonly lost = new Set<string>();
  /** Called before a block is kept; may wait. */
  before: (signal: AbortSignal) => Promise<void> = async () => undefined;
  silent = false;

  warm({ signal }: { parallel: number; signal: AbortSignal }) {
    const open = new Set<Promise<void>>();
    return {
      moved: 0,
      add: async (key: BlockKey, onKept: OnKept) => {
        signal.throwIfAborted();
        const keeping = this.#keep(key, onKept, signal).finally(() => open.delete(keeping));
        keeping.catch(() => undefined);
        open.add(keeping);
      },
      finish: async () => {
        await Promise.all(open);
        signal.throwIfAborted();
      },
    };
  }

  async holders(keys: readonly BlockKey[]) {
    const holders = keys.map((key): BlockHolder[] =>
      this.held.has(blockIdOf(key)) ? [{ node: 'this node', tier: 'memory' }] : [],
    );
    return { value: holders, silent: this.silent ? [toNodeId('silent')] : [] };
  }

  async evict(keys: readonly BlockKey[]) {
    const dropped = keys.filter((key) => this.held.delete(blockIdOf(key)));
    const bytes = dropped.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return { value: { blocks: dropped.length, bytes }, silent: [] };
  }

  async #keep(key: BlockKey, onKept: OnKept, signal: AbortSignal): Promise<void> {
    const id = blockIdOf(key);
    await this.before(signal);
    this.warmed.push(id);
    if (this.lost.has(id)) onKept('failed', `${id} is lost`);
    else if (this.held.has(id)) onKept('held', undefined);
    else {
      this.held.add(id);
      onKept('fetched', undefined);
    }
  }
}
