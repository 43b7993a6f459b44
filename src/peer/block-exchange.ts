import type { BlockId, BlockKey } from '../block/block-key.ts';
import type { FillOptions } from '../block/block-source.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { NodeId } from '../block/node-id.ts';
import { CodedError } from '../runtime/coded-error.ts';
import type { Startable } from '../runtime/startable.ts';

/**
 * Why a peer did not deliver. `unreachable`: no connection; `timeout`: too slow; `busy`: it refused
 * for its limits; `protocol`: frames that make no sense, or another version; `corrupt`: a checksum
 * did not match; `failed`: it could not get the block itself (its message says why).
 */
export type PeerErrorCode = 'unreachable' | 'timeout' | 'busy' | 'protocol' | 'corrupt' | 'failed';

/** A peer did not deliver. */
export class PeerError extends CodedError<PeerErrorCode> {}

/** A member of the cache group. */
export interface Member {
  readonly nodeId: NodeId;
  /** Multiaddrs by which it can be dialled. */
  readonly addresses: readonly string[];
  /** Relative share of the blocks; 0 owns nothing (draining, or not sharing). */
  readonly weight: number;
}

/** Which tier a node holds a block in. */
export type HeldIn = 'memory' | 'disk' | undefined;

/** Asks other members for blocks. */
export interface PeerClient {
  /**
   * Fills `into` with bytes of a block that `node` has or gets from the origin by itself. Every
   * byte reported by `onProgress` has passed its checksum.
   *
   * @throws PeerError; the signal's reason when aborted
   */
  fill(
    node: NodeId,
    key: BlockKey,
    range: ByteRange,
    into: Uint8Array,
    options: FillOptions,
  ): Promise<void>;
  /** In which tier `node` holds each of these blocks, in the order asked. */
  holds(node: NodeId, ids: readonly BlockId[], signal: AbortSignal): Promise<HeldIn[]>;
}

/** Answers other members. Implemented above (mesh), called by the peer host. */
export interface BlockHandler {
  /**
   * Yields the asked bytes, in order, as they become available. A yielded view is valid until the
   * next one is asked for.
   */
  serve(key: BlockKey, range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array>;
  holds(ids: readonly BlockId[]): HeldIn[];
}

/** Our own presence among the peers. */
export interface PeerHost extends Startable {
  readonly nodeId: NodeId;
  /** Multiaddrs that others can dial, once started. */
  readonly addresses: readonly string[];
  readonly client: PeerClient;
  /** Must be called before `start`. */
  handle(handler: BlockHandler): void;
}

/** Who is in the group, as this node sees it. */
export interface GroupView {
  /** Grows with each change. */
  readonly epoch: number;
  /** Ourselves included. */
  readonly members: readonly Member[];
}

/** Follows who joins and leaves the group. */
export interface Membership extends Startable {
  current(): GroupView;
  /** Calls `onChange` after each change; the function returned ends it. */
  subscribe(onChange: (view: GroupView) => void): () => void;
}
