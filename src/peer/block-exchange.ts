import type { BlockId, BlockKey } from '../block/block-key.ts';
import type { FillOptions } from '../block/block-source.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { NodeId } from '../block/node-id.ts';
import { CodedError } from '../runtime/coded-error.ts';
import type { Startable } from '../runtime/startable.ts';
import type { PeerHealth } from './peer-health.ts';

/**
 * Why a peer did not deliver. `unreachable`: no connection; `timeout`: too slow; `busy`: it refused
 * for its limits; `protocol`: frames that make no sense, or another version; `corrupt`: a checksum
 * did not match; `forbidden`: it does not know the group's secret, or says that we do not;
 * `encryption`: one of us encrypts its bulk connections and the other does not; `failed`: it could
 * not get the block itself (its message says why); `absent`: it does not hold the block and was
 * asked for no more; `elsewhere`: many ask it for the block, see {@link ReferralError}.
 */
export type PeerErrorCode = (typeof PEER_ERROR_CODES)[number];

/** All of {@link PeerErrorCode}: what may stand in a message of a peer. */
export const PEER_ERROR_CODES = [
  'unreachable',
  'timeout',
  'busy',
  'protocol',
  'corrupt',
  'forbidden',
  'encryption',
  'failed',
  'absent',
  'elsewhere',
] as const;

/** A peer did not deliver. */
export class PeerError extends CodedError<PeerErrorCode> {}

/** Nodes that one referral names at most. */
export const REFERRED_MAX = 4;

/** A peer that is asked for a block by many names others that have just got it. */
export class ReferralError extends PeerError {
  /** At most {@link REFERRED_MAX}; that they hold the block is likely, not certain. */
  readonly holders: readonly NodeId[];

  constructor(message: string, holders: readonly NodeId[]) {
    super('elsewhere', message, { retryable: true });
    this.holders = holders;
  }
}

/**
 * How far a peer may go for a block. `any`: it may ask the block's owner, or refer to others;
 * `final`: its tiers, then nodes with `held`, then the origin; `held`: its tiers and nothing else,
 * else `absent`. A request is only ever passed on with a stricter mode, so it cannot go in circles.
 */
export type AskMode = 'any' | 'final' | 'held';

/** How a peer is asked for a block. */
export interface PeerFillOptions extends FillOptions {
  /** Default `any`. */
  readonly mode?: AskMode;
  /** The peer says that it is alive and still has to get the block. */
  readonly onWorking?: () => void;
}

/** Who asks for a block, and how. */
export interface Asked {
  readonly peer: NodeId;
  readonly mode: AskMode;
}

/** A member of the cache group. */
export interface Member {
  readonly nodeId: NodeId;
  /** Multiaddrs by which it can be dialled. */
  readonly addresses: readonly string[];
  /** Relative share of the blocks; 0 owns nothing (draining, or not sharing). */
  readonly weight: number;
  /** Where it stands, e.g. a rack or an availability zone; of several holders the near one is asked. */
  readonly zone?: string | undefined;
  /** Of the program that it runs. */
  readonly version?: string | undefined;
  /** Milliseconds since 1970. */
  readonly startedAtMs?: number | undefined;
}

/** Bytes of a block that stay where they are until they are released, with their checksums. */
export interface HeldRange {
  readonly bytes: Uint8Array;
  /** What `pieceSums` gives for `bytes`. */
  readonly sums: Uint32Array;
  /** Call exactly once. */
  release(): void;
}

/** One of several blocks that are asked for together. */
export interface WantedBlock {
  readonly key: BlockKey;
  /** Room for exactly the block. */
  readonly into: Uint8Array;
  /**
   * Called at most once: the block is complete and right, or why the peer did not deliver it.
   * Nothing is written to `into` from here on. Must not throw.
   */
  onDone(error: PeerError | undefined): void;
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
    options: PeerFillOptions,
  ): Promise<void>;
  /**
   * Gets several whole blocks in one round trip; small ones, for which a round trip each would cost
   * more than their bytes. They are done in any order.
   *
   * Resolves when all are done. Once it has settled nothing is written to any `into`, and no `onDone`
   * is called, any more.
   *
   * @param options - `onProgress` is not used
   * @throws PeerError; the signal's reason when aborted: those that are not done were not delivered
   */
  getMany(
    node: NodeId,
    wanted: readonly WantedBlock[],
    options: Omit<PeerFillOptions, 'onProgress'>,
  ): Promise<void>;
  /** In which tier `node` holds each of these blocks, in the order asked. */
  holds(node: NodeId, ids: readonly BlockId[], signal: AbortSignal): Promise<HeldIn[]>;
}

/** Answers other members. Implemented above (mesh), called by the peer host. */
export interface BlockHandler {
  /**
   * Yields the asked bytes, in order, as they become available. A yielded view is valid until the
   * next one is asked for. An empty one tells the peer that the bytes still have to be got.
   *
   * @throws PeerError `absent` and ReferralError, before the first byte, are answers and no failures
   */
  serve(
    key: BlockKey,
    range: ByteRange,
    signal: AbortSignal,
    asked: Asked,
  ): AsyncIterable<Uint8Array>;
  /**
   * The asked bytes when they are in memory and nothing speaks against sending them at once;
   * undefined sends the request through {@link serve}. Optional: it only saves work.
   *
   * @throws as {@link serve}
   */
  hold?(key: BlockKey, range: ByteRange, asked: Asked): HeldRange | undefined;
  holds(ids: readonly BlockId[], signal: AbortSignal): HeldIn[] | Promise<HeldIn[]>;
}

/** Our own presence among the peers. */
export interface PeerHost extends Startable {
  readonly nodeId: NodeId;
  /** Multiaddrs that others can dial, once started. */
  readonly addresses: readonly string[];
  readonly client: PeerClient;
  /** How the others are doing. */
  readonly health: PeerHealth;
  /** Must be called before `start`. */
  handle(handler: BlockHandler): void;
}

/** Who is in the group, as this node sees it. */
export interface GroupView {
  /** Grows with each change. */
  readonly epoch: number;
  /** Those that answer, ourselves included. */
  readonly members: readonly Member[];
  /** Those that do not answer at present: nobody asks them, but their place in the ring is kept. */
  readonly suspected?: readonly Member[];
  /**
   * When the group began to count on us, on the clock that goes on: at our start, or when we came
   * back after others had taken us for dead. Undefined while we are alone.
   */
  readonly joinedMs?: number | undefined;
}

/** Follows who joins and leaves the group. */
export interface Membership extends Startable {
  current(): GroupView;
  /** Calls `onChange` after each change; the function returned ends it. */
  subscribe(onChange: (view: GroupView) => void): () => void;
}
