import { type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { BlockSource, FillOptions } from '../block/block-source.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { NodeId } from '../block/node-id.ts';
import { type PeerClient, PeerError } from '../peer/block-exchange.ts';
import type { Logger } from '../runtime/logger.ts';
import { StoreError } from '../store/object-store.ts';
import type { GroupRing } from './group-ring.ts';
import type { LoadMetrics } from './load-metrics.ts';
import { BlockReadError } from './loader.ts';

/** Owners that are asked before the origin: the owner, and the next one while the first is away. */
const OWNERS_ASKED = 2;

/** The origin of a volume's blocks. */
export interface OriginSource extends BlockSource {
  /** Whether parts of a block can be had: compressed and encrypted blocks come whole only. */
  readonly rangeable: boolean;
}

/** Where blocks come from beyond this node. */
export interface RouteParts {
  readonly origin: OriginSource;
  /** Undefined outside a cache group. */
  readonly group: PeerGroup | undefined;
  readonly metrics: LoadMetrics;
  readonly logger: Logger;
}

/** The other members of the cache group. */
export interface PeerGroup {
  readonly ring: GroupRing;
  readonly client: PeerClient;
  /** A member did not deliver; the membership decides what that means. */
  reportFailure(node: NodeId): void;
}

/** Receives what a route brings. */
export interface RouteTarget {
  readonly into: Uint8Array;
  /** Told before bytes of another source arrive. */
  onSource(from: 'peer' | 'origin'): void;
  onProgress(readyBytes: number): void;
}

/** Brings bytes of a block from the peer that owns it, else from the origin. */
export class BlockRoute {
  readonly #parts: RouteParts;

  constructor(parts: RouteParts) {
    this.#parts = parts;
  }

  /** Whether this node is the one that keeps the block for the group. */
  owns(key: BlockKey): boolean {
    const ring = this.#parts.group?.ring;
    if (ring === undefined) return true;
    const [owner] = ring.owners(blockIdOf(key), 1);
    return owner === undefined || owner === ring.self;
  }

  /**
   * Fills `target.into` with `range` of the block. A source that fails midway is followed by the
   * next one from where it stopped: bytes that were reported are never written again.
   *
   * @param options - `forward`: ask the owners first; without it only the origin (a request of a
   *   peer is never passed on, so that disagreeing rings cannot send it in circles)
   * @throws BlockReadError; the signal's reason when aborted
   */
  async fill(
    key: BlockKey,
    range: ByteRange,
    target: RouteTarget,
    options: { forward: boolean; signal: AbortSignal },
  ): Promise<void> {
    const progress = { readyBytes: 0 };
    if (options.forward) {
      for (const node of this.#peersToAsk(key)) {
        if (await this.#fromPeer(node, key, { range, target, progress, signal: options.signal })) {
          return;
        }
      }
    }
    await this.#fromOrigin(key, { range, target, progress, signal: options.signal });
  }

  #peersToAsk(key: BlockKey): readonly NodeId[] {
    const ring = this.#parts.group?.ring;
    if (ring === undefined) return [];
    const owners = ring.owners(blockIdOf(key), OWNERS_ASKED);
    const self = owners.indexOf(ring.self);
    return self === -1 ? owners : owners.slice(0, self);
  }

  async #fromPeer(node: NodeId, key: BlockKey, load: Load): Promise<boolean> {
    const group = this.#parts.group as PeerGroup;
    const before = load.progress.readyBytes;
    load.target.onSource('peer');
    try {
      await group.client.fill(node, key, rest(load), remaining(load), fillOptions(load));
      this.#parts.metrics.loaded('peer', load.range.length - before);
      return true;
    } catch (error) {
      if (load.signal.aborted || !(error instanceof PeerError)) throw error;
      this.#parts.metrics.loaded('peer', load.progress.readyBytes - before);
      this.#parts.metrics.event('peer-failed');
      const fields = { node, block: blockIdOf(key), code: error.code, error: error.message };
      this.#parts.logger.warn(fields, 'a peer did not deliver a block, going on without it');
      if (error.code !== 'busy' && error.code !== 'failed') group.reportFailure(node);
      return false;
    }
  }

  async #fromOrigin(key: BlockKey, load: Load): Promise<void> {
    const before = load.progress.readyBytes;
    load.target.onSource('origin');
    try {
      const part = rest(load);
      if (this.#parts.origin.rangeable || part.length === key.sizeBytes) {
        await this.#parts.origin.fill(key, part, remaining(load), fillOptions(load));
      } else {
        await this.#cutFromWhole(key, load);
      }
      this.#parts.metrics.loaded('origin', load.range.length - before);
    } catch (error) {
      if (load.signal.aborted || !(error instanceof StoreError)) throw error;
      this.#parts.metrics.event('origin-failed');
      throw new BlockReadError(codeOf(error), error.message, {
        cause: error,
        retryable: error.retryable,
      });
    }
  }

  /** A part of a block that the origin has whole only. */
  async #cutFromWhole(key: BlockKey, load: Load): Promise<void> {
    const whole = Buffer.allocUnsafe(key.sizeBytes);
    const options = { signal: load.signal };
    await this.#parts.origin.fill(key, { offset: 0, length: key.sizeBytes }, whole, options);
    const { offset, length } = rest(load);
    remaining(load).set(whole.subarray(offset, offset + length));
    load.target.onProgress(load.range.length);
  }
}

interface Load {
  readonly range: ByteRange;
  readonly target: RouteTarget;
  /** Leading bytes of `target.into` that are final. */
  readonly progress: { readyBytes: number };
  readonly signal: AbortSignal;
}

function rest({ range, progress }: Load): ByteRange {
  const { readyBytes } = progress;
  return { offset: range.offset + readyBytes, length: range.length - readyBytes };
}

function remaining({ target, progress }: Load): Uint8Array {
  return target.into.subarray(progress.readyBytes);
}

function fillOptions(load: Load): FillOptions {
  const from = load.progress.readyBytes;
  return {
    signal: load.signal,
    onProgress: (readyBytes) => {
      load.progress.readyBytes = from + readyBytes;
      load.target.onProgress(from + readyBytes);
    },
  };
}

function codeOf(error: StoreError): 'missing' | 'corrupt' | 'failed' {
  if (error.code === 'not-found') return 'missing';
  return error.code === 'corrupt' ? 'corrupt' : 'failed';
}
