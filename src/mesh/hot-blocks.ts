import type { BlockId } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import { REFERRED_MAX } from '../peer/block-exchange.ts';
import type { Clock } from '../runtime/clock.ts';
import { sleep } from '../runtime/deadline.ts';
import type { Random } from '../runtime/random.ts';

/** Peers that a block is served to at once before others are referred to them. */
const SERVED_BURST = 16;
/** Peers per second that it is served to from then on. */
const SERVED_PER_SECOND = 8;
/** Peers that are remembered as holders of a block. */
const HOLDERS_MAX = 16;
/** They are named for so long after they got it: readers keep what is hot at least that long. */
const HOLDER_MS = 30_000;
/** How long who comes too early waits for the first of them to have it. */
const WAIT_MS = 1_000;
/** Blocks that are counted; the one asked for longest ago goes. About 1 KB each. */
const BLOCKS_MAX = 8_192;

interface Heat {
  tokens: number;
  atMs: number;
  /** The latest first. */
  holders: { readonly node: NodeId; readonly atMs: number }[];
  /** Peers that are being served, and who waits for the first of them to be done. */
  serving: number;
  readonly waiting: Set<() => void>;
}

/** What becomes of a peer that asks. */
export type Admission =
  | {
      /** It is to be served. */
      readonly instead: readonly [];
      /** Ends it, to be called once: whether the peer has all of the block now. */
      readonly leave: (isDone: boolean) => void;
    }
  | {
      /** Whom it is to ask; not empty. */
      readonly instead: readonly NodeId[];
      readonly leave: undefined;
    };

/**
 * Which blocks many peers ask for, and who has got them lately.
 *
 * A block is served to a burst of peers, then to some per second. Who comes beyond that is referred
 * to those who have it, and they do the same, so that a block which all want at once spreads like a
 * tree and no node serves it more than its share. When it is cold again it is simply served.
 */
export class HotBlocks {
  readonly #clock: Clock;
  readonly #random: Random;
  /** The one asked for longest ago first. */
  readonly #blocks = new Map<BlockId, Heat>();

  constructor(parts: { clock: Clock; random: Random }) {
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  /**
   * A peer asks for a block. While a burst of others is being served, it waits for them to have the
   * block, a second at most.
   */
  async asked(id: BlockId, peer: NodeId, signal: AbortSignal): Promise<Admission> {
    const heat = this.#heatOf(id);
    if (isTooEarly(heat)) await this.#firstServed(heat, signal);
    return this.#admit(heat, peer);
  }

  /** Like {@link asked}; undefined when the peer would have to wait. */
  askedNow(id: BlockId, peer: NodeId): Admission | undefined {
    const heat = this.#heatOf(id);
    return isTooEarly(heat) ? undefined : this.#admit(heat, peer);
  }

  #admit(heat: Heat, peer: NodeId): Admission {
    const others = heat.holders.map(({ node }) => node).filter((node) => node !== peer);
    if (heat.tokens >= 1 || others.length === 0) {
      heat.tokens = Math.max(0, heat.tokens - 1);
      return { instead: [], leave: this.#enter(heat, peer) };
    }
    const from = this.#random.below(others.length);
    const instead = [...others.slice(from), ...others.slice(0, from)].slice(0, REFERRED_MAX);
    return { instead, leave: undefined };
  }

  /** A peer is served in any case. @returns see {@link Admission} */
  serve(id: BlockId, peer: NodeId): (isDone: boolean) => void {
    return this.#enter(this.#heatOf(id), peer);
  }

  #enter(heat: Heat, peer: NodeId): (isDone: boolean) => void {
    heat.serving += 1;
    return (isDone) => {
      heat.serving -= 1;
      if (isDone) {
        const others = heat.holders.filter(({ node }) => node !== peer);
        const holder = { node: peer, atMs: this.#clock.nowMs() };
        heat.holders = [holder, ...others].slice(0, HOLDERS_MAX);
      }
      // Not the first one alone is to have all of those who wait.
      if (heat.serving <= SERVED_BURST / 2) for (const wake of heat.waiting) wake();
    };
  }

  async #firstServed(heat: Heat, signal: AbortSignal): Promise<void> {
    const done = Promise.withResolvers<void>();
    const ended = new AbortController();
    heat.waiting.add(done.resolve);
    try {
      const timeout = sleep(this.#clock, WAIT_MS, AbortSignal.any([signal, ended.signal]));
      timeout.catch(() => undefined);
      await Promise.race([done.promise, timeout]);
    } finally {
      heat.waiting.delete(done.resolve);
      ended.abort();
    }
  }

  #heatOf(id: BlockId): Heat {
    const nowMs = this.#clock.nowMs();
    let heat = this.#blocks.get(id);
    if (heat === undefined) {
      heat = { tokens: SERVED_BURST, atMs: nowMs, holders: [], serving: 0, waiting: new Set() };
      const [oldest] = this.#blocks.keys();
      if (oldest !== undefined && this.#blocks.size >= BLOCKS_MAX) this.#blocks.delete(oldest);
    }
    const earned = ((nowMs - heat.atMs) * SERVED_PER_SECOND) / 1000;
    heat.tokens = Math.min(SERVED_BURST, heat.tokens + earned);
    heat.atMs = nowMs;
    heat.holders = heat.holders.filter(({ atMs }) => nowMs - atMs < HOLDER_MS);
    this.#blocks.delete(id);
    this.#blocks.set(id, heat);
    return heat;
  }
}

/** More are being served than are to be, and none of them has the block yet. */
function isTooEarly({ tokens, holders, serving }: Heat): boolean {
  return tokens < 1 && holders.length === 0 && serving > 0;
}
