import type { BlockKey } from '../../block/block-key.ts';
import type { NodeId } from '../../block/node-id.ts';

/** How much of a lane may go at once. */
export interface LaneLimits {
  /** Batches that one owner works on at once. */
  readonly batchesPerOwner: number;
  readonly batchBlocksMax: number;
  readonly batchBytesMax: number;
  /** An owner with less than this under way gets a batch that is not full. */
  readonly lowBlocks: number;
  readonly lowBytes: number;
}

/**
 * Four batches overlap the round trips of each other; two full ones are what a node may fetch at
 * once, so that the next one is there when they are done.
 */
export const DEFAULT_LANE_LIMITS: LaneLimits = {
  batchesPerOwner: 4,
  batchBlocksMax: 256,
  batchBytesMax: 64 * 2 ** 20,
  lowBlocks: 64,
  lowBytes: 64 * 2 ** 20,
};

/** Blocks for one owner that go together. */
export interface Batch<Item> {
  readonly owner: NodeId;
  readonly items: readonly Item[];
}

interface Lane<Item> {
  readonly waiting: Item[];
  waitingBytes: number;
  batches: number;
  blocksUnderWay: number;
  bytesUnderWay: number;
}

/**
 * Blocks sorted by owner and cut into batches. Pure bookkeeping: while an owner has little to do it
 * gets what is there at once, and while it is busy its batches grow.
 */
export class OwnerLanes<Item extends { readonly key: BlockKey }> {
  readonly #limits: LaneLimits;
  readonly #lanes = new Map<NodeId, Lane<Item>>();
  /** Owners that have something waiting and a free place, the longest waiting first. */
  readonly #ready = new Set<NodeId>();
  #waiting = 0;

  constructor(limits: LaneLimits = DEFAULT_LANE_LIMITS) {
    this.#limits = limits;
  }

  /** Blocks that are in no batch yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Owners that have batches under way. */
  busyOwners(): NodeId[] {
    return [...this.#lanes].filter(([, lane]) => lane.batches > 0).map(([owner]) => owner);
  }

  add(owner: NodeId, item: Item): void {
    const lane = this.#laneOf(owner);
    lane.waiting.push(item);
    lane.waitingBytes += item.key.sizeBytes;
    this.#waiting += 1;
    this.#check(owner, lane);
  }

  /** The next batch that may be sent, which counts as under way from now on. */
  take(): Batch<Item> | undefined {
    for (const owner of this.#ready) {
      const lane = this.#laneOf(owner);
      const items = this.#cut(lane);
      // To the back, so that no owner waits for another one's whole lane.
      this.#ready.delete(owner);
      this.#check(owner, lane);
      return { owner, items };
    }
    return undefined;
  }

  /** One block of a batch is done with. */
  settle(owner: NodeId, item: Item): void {
    const lane = this.#laneOf(owner);
    lane.blocksUnderWay -= 1;
    lane.bytesUnderWay -= item.key.sizeBytes;
    this.#check(owner, lane);
  }

  /** A batch has ended; each of its blocks was settled. */
  close(owner: NodeId): void {
    const lane = this.#laneOf(owner);
    lane.batches -= 1;
    this.#check(owner, lane);
    if (lane.batches === 0 && lane.waiting.length === 0) this.#lanes.delete(owner);
  }

  /** Takes back what waits for an owner. */
  drop(owner: NodeId): Item[] {
    const lane = this.#lanes.get(owner);
    if (lane === undefined) return [];
    const items = lane.waiting.splice(0);
    lane.waitingBytes = 0;
    this.#waiting -= items.length;
    this.#ready.delete(owner);
    if (lane.batches === 0) this.#lanes.delete(owner);
    return items;
  }

  #cut(lane: Lane<Item>): Item[] {
    const { batchBlocksMax, batchBytesMax } = this.#limits;
    let count = 0;
    let bytes = 0;
    for (const { key } of lane.waiting) {
      if (count === batchBlocksMax) break;
      if (count > 0 && bytes + key.sizeBytes > batchBytesMax) break;
      count += 1;
      bytes += key.sizeBytes;
    }
    const items = lane.waiting.splice(0, count);
    this.#waiting -= count;
    lane.waitingBytes -= bytes;
    lane.batches += 1;
    lane.blocksUnderWay += count;
    lane.bytesUnderWay += bytes;
    return items;
  }

  #check(owner: NodeId, lane: Lane<Item>): void {
    const limits = this.#limits;
    const isFull =
      lane.waiting.length >= limits.batchBlocksMax || lane.waitingBytes >= limits.batchBytesMax;
    const isIdle = lane.blocksUnderWay < limits.lowBlocks && lane.bytesUnderWay < limits.lowBytes;
    const mayGo = lane.batches < limits.batchesPerOwner && (isFull || isIdle);
    if (lane.waiting.length > 0 && mayGo) this.#ready.add(owner);
    else this.#ready.delete(owner);
  }

  #laneOf(owner: NodeId): Lane<Item> {
    let lane = this.#lanes.get(owner);
    if (lane === undefined) {
      lane = { waiting: [], waitingBytes: 0, batches: 0, blocksUnderWay: 0, bytesUnderWay: 0 };
      this.#lanes.set(owner, lane);
    }
    return lane;
  }
}
