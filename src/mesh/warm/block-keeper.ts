import { type BlockId, type BlockKey, blockIdOf } from '../../block/block-key.ts';
import type { NodeId } from '../../block/node-id.ts';
import type { ByteBudget } from '../../runtime/byte-budget.ts';
import type { Clock } from '../../runtime/clock.ts';
import { sleep, withDeadline } from '../../runtime/deadline.ts';
import type { DiskTier, MemoryTier } from '../../store/tier.ts';
import { BlockReadError } from '../loader.ts';
import type { MeshLoader } from '../mesh-loader.ts';
import type { WarmMetrics } from './warm-metrics.ts';

/** For one block with all retries of the origin, and the disk's time. */
const BLOCK_TIMEOUT_MS = 180_000;
/** Between two looks for room in memory. */
const ROOM_POLL_MS = 20;

/** What a {@link BlockKeeper} works with. */
export interface BlockKeeperParts {
  readonly loader: Pick<MeshLoader, 'bring' | 'abandon'>;
  readonly memory: MemoryTier;
  readonly disk: DiskTier | undefined;
  /** Bytes that may be on their way at once, all jobs together. */
  readonly budget: ByteBudget;
  readonly clock: Clock;
  readonly metrics: WarmMetrics;
}

/** Brings blocks into this node's cache to stay: onto its disk, or into memory when it has none. */
export class BlockKeeper {
  readonly #parts: BlockKeeperParts;

  constructor(parts: BlockKeeperParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when the block is where it stays.
   *
   * @param holder - a member that has it, to be asked first
   * @returns whether it was fetched or held already
   * @throws BlockReadError when no source has it or the tiers did not take it; DeadlineError; the
   *   signal's reason when aborted: the fetch then ends, unless a reader shares it
   */
  async keep(key: BlockKey, signal: AbortSignal, holder?: NodeId): Promise<'fetched' | 'held'> {
    const { clock, metrics } = this.#parts;
    const wait = { what: `keeping block ${blockIdOf(key)}`, timeoutMs: BLOCK_TIMEOUT_MS, signal };
    try {
      const outcome = await withDeadline(clock, wait, (timed) => this.#keep(key, timed, holder));
      metrics.kept(outcome, key.sizeBytes);
      return outcome;
    } catch (error) {
      if (!signal.aborted) metrics.kept('failed', key.sizeBytes);
      throw error;
    }
  }

  async #keep(
    key: BlockKey,
    signal: AbortSignal,
    holder: NodeId | undefined,
  ): Promise<'fetched' | 'held'> {
    const { budget, metrics } = this.#parts;
    const id = blockIdOf(key);
    if (await this.#isHeld(id)) return 'held';
    const leave = await budget.acquire(key.sizeBytes, signal);
    metrics.inFlight(budget.usedBytes);
    try {
      return await this.#bring(key, holder, signal);
    } finally {
      leave();
      metrics.inFlight(budget.usedBytes);
    }
  }

  async #bring(
    key: BlockKey,
    holder: NodeId | undefined,
    signal: AbortSignal,
  ): Promise<'fetched' | 'held'> {
    const { loader, clock } = this.#parts;
    const id = blockIdOf(key);
    for (;;) {
      if (await this.#isHeld(id)) return 'held';
      const flight = await loader.bring(key, signal, holder);
      if (flight === undefined || flight.isOver) {
        await sleep(clock, ROOM_POLL_MS, signal);
        continue;
      }
      try {
        (await flight.read({ offset: 0, length: key.sizeBytes }, signal)).release();
      } catch (error) {
        if (signal.aborted) loader.abandon(key);
        throw error;
      }
      await flight.kept;
      if (await this.#isHeld(id)) return 'fetched';
      throw new BlockReadError('failed', `block ${id} was fetched, but no tier has room for it`);
    }
  }

  /** What is in memory only is written to the disk, where it stays longer. */
  async #isHeld(id: BlockId): Promise<boolean> {
    const { memory, disk } = this.#parts;
    if (disk === undefined) return memory.has(id);
    if (disk.has(id)) return true;
    const held = memory.get(id);
    if (held === undefined) return false;
    await new Promise<void>((resolve) => {
      disk.put(id, held.bytes, resolve);
    });
    held.release();
    // A disk that takes no more leaves it in memory, which is all that can be had.
    return true;
  }
}
