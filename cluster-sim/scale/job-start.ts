import type { BlockId } from '../../src/block/block-key.ts';
import type { NodeId } from '../../src/block/node-id.ts';
import { HotBlocks } from '../../src/mesh/hot-blocks.ts';
import { HashRing } from '../../src/ring/hash-ring.ts';
import { NodeTime } from '../world/node-time.ts';
import type { SeededRandom } from '../world/seeded-random.ts';
import { World } from '../world/world.ts';
import { nodeIdOf } from '../node/node-ids.ts';

/** 100 Gb/s and 300 Gb/s, as in published tests of group caches. */
const LINK_BYTES_PER_MS = 12_500_000;
const ORIGIN_BYTES_PER_MS = 37_500_000;
const LINK_LATENCY_MS = 0.05;
const ORIGIN_LATENCY_MS = 15;
/** The largest that JuiceFS has; with the usual 4 MiB the same takes four times as many events. */
const BLOCK_BYTES = 16 * 2 ** 20;
/** Blocks that a node has under way: read-ahead of some readers. */
const PARALLEL = 8;
/** Referrals followed one after the other before the owner has to serve. @see src/mesh/peer-source.ts */
const REFERRALS_MAX = 3;

/** What a job start came to. */
export interface JobStart {
  readonly nodes: number;
  readonly datasetBytes: number;
  /** Until every node has everything. */
  readonly tookMs: number;
  readonly originBytes: number;
  /** What the same would take from the origin alone. */
  readonly aloneMs: number;
  /** Most that one node sent, as a multiple of what nodes sent on average. */
  readonly sentMaxOverMean: number;
  readonly referrals: number;
}

interface Node {
  readonly number: number;
  readonly id: NodeId;
  readonly hot: HotBlocks;
  readonly has: Uint8Array;
  readonly wanted: Uint32Array;
  next: number;
  done: number;
  sendingUntilMs: number;
  receivingUntilMs: number;
  sentBytes: number;
  /** Who waits for a block that is on its way here, by block. */
  readonly arriving: Map<number, (() => void)[]>;
}

/**
 * All nodes begin to read the same data at the same moment, each in an order of its own. Who owns a
 * block, and whom its owner refers to whom, is decided by the ring and by HotBlocks of the daemon;
 * links, memory and the origin are numbers.
 */
export class JobStartRun {
  readonly #world: World;
  readonly #nodes: readonly Node[];
  readonly #byId: ReadonlyMap<NodeId, Node>;
  readonly #owners: Uint16Array;
  readonly #blocks: number;
  readonly #ended = Promise.withResolvers<void>();
  #open: number;
  #originUntilMs = 0;
  #originBytes = 0;
  #referrals = 0;

  constructor(nodes: number, datasetBytes: number, seed: number) {
    this.#world = new World(seed, { eventsMax: Number.POSITIVE_INFINITY });
    this.#blocks = Math.ceil(datasetBytes / BLOCK_BYTES);
    const { random } = this.#world;
    this.#nodes = Array.from({ length: nodes }, (_, number) => {
      return nodeOf(number, this.#blocks, this.#world, random.fork(`node ${number}`));
    });
    this.#byId = new Map(this.#nodes.map((node) => [node.id, node]));
    const members = this.#nodes.map(({ id }) => ({ nodeId: id, weight: 100 }));
    const ring = HashRing.build(members, 1);
    this.#owners = Uint16Array.from({ length: this.#blocks }, (_, block) => {
      return this.#byId.get(ring.owner(idOf(block)) as NodeId)?.number ?? 0;
    });
    this.#open = nodes;
  }

  /** @throws Error when it does not end: a bug of the simulation */
  async run(): Promise<JobStart> {
    for (const node of this.#nodes) {
      for (let lane = 0; lane < PARALLEL; lane += 1) this.#readNext(node);
    }
    const outcome = await this.#world.run(this.#ended.promise, Number.POSITIVE_INFINITY);
    const [bug] = this.#world.bugs;
    if (outcome !== 'done' || bug !== undefined) throw new Error(`job start: ${bug ?? outcome}`);
    const sent = this.#nodes.map(({ sentBytes }) => sentBytes);
    const mean = sent.reduce((sum, bytes) => sum + bytes, 0) / sent.length;
    const datasetBytes = this.#blocks * BLOCK_BYTES;
    return {
      nodes: this.#nodes.length,
      datasetBytes,
      tookMs: this.#world.nowMs,
      originBytes: this.#originBytes,
      aloneMs: (datasetBytes * this.#nodes.length) / ORIGIN_BYTES_PER_MS,
      sentMaxOverMean: mean === 0 ? 1 : Math.max(...sent) / mean,
      referrals: this.#referrals,
    };
  }

  #readNext(node: Node): void {
    const block = node.wanted[node.next];
    if (block === undefined) return;
    node.next += 1;
    this.#bring(node, block, () => {
      node.done += 1;
      if (node.done === this.#blocks) {
        this.#open -= 1;
        if (this.#open === 0) this.#ended.resolve();
      }
      this.#readNext(node);
    });
  }

  /** One flight per block and node, as in the load path. */
  #bring(node: Node, block: number, done: () => void): void {
    if (node.has[block] === 1) {
      this.#world.after(0, done);
      return;
    }
    const waiting = node.arriving.get(block);
    if (waiting !== undefined) {
      waiting.push(done);
      return;
    }
    node.arriving.set(block, [done]);
    const owner = this.#nodes[this.#owners[block] as number] as Node;
    if (owner === node) this.#fromOrigin(node, block);
    else this.#ask(node, owner, block, 0);
  }

  #arrived(node: Node, block: number): void {
    node.has[block] = 1;
    const waiting = node.arriving.get(block) ?? [];
    node.arriving.delete(block);
    for (const done of waiting) done();
  }

  #fromOrigin(node: Node, block: number): void {
    this.#originBytes += BLOCK_BYTES;
    const { nowMs } = this.#world;
    this.#originUntilMs = Math.max(nowMs, this.#originUntilMs) + BLOCK_BYTES / ORIGIN_BYTES_PER_MS;
    const atMs = this.#receive(node, this.#originUntilMs + ORIGIN_LATENCY_MS);
    this.#world.after(atMs - nowMs, () => this.#arrived(node, block));
  }

  #ask(node: Node, from: Node, block: number, depth: number): void {
    this.#world.after(LINK_LATENCY_MS, () => {
      if (depth < REFERRALS_MAX) void this.#admit(node, from, block, depth);
      else this.#serve(node, from, block, from.hot.serve(idOf(block), node.id));
    });
  }

  async #admit(node: Node, from: Node, block: number, depth: number): Promise<void> {
    const { signal } = new AbortController();
    const { leave, instead } = await from.hot.asked(idOf(block), node.id, signal);
    if (leave !== undefined) {
      this.#serve(node, from, block, leave);
      return;
    }
    this.#referrals += 1;
    const holder = instead.map((id) => this.#byId.get(id)).find((each) => each?.has[block] === 1);
    this.#world.after(LINK_LATENCY_MS, () => {
      if (holder === undefined) this.#ask(node, from, block, REFERRALS_MAX);
      else this.#ask(node, holder, block, depth + 1);
    });
  }

  #serve(node: Node, from: Node, block: number, leave: (isDone: boolean) => void): void {
    this.#bring(from, block, () => {
      const { nowMs } = this.#world;
      from.sentBytes += BLOCK_BYTES;
      from.sendingUntilMs = Math.max(nowMs, from.sendingUntilMs) + BLOCK_BYTES / LINK_BYTES_PER_MS;
      const atMs = this.#receive(node, from.sendingUntilMs + LINK_LATENCY_MS);
      this.#world.after(atMs - nowMs, () => {
        leave(true);
        this.#arrived(node, block);
      });
    });
  }

  /** When a block that comes at `fromMs` has passed the node's own link. */
  #receive(node: Node, fromMs: number): number {
    const startMs = Math.max(fromMs - BLOCK_BYTES / LINK_BYTES_PER_MS, node.receivingUntilMs);
    node.receivingUntilMs = startMs + BLOCK_BYTES / LINK_BYTES_PER_MS;
    return Math.max(fromMs, node.receivingUntilMs);
  }
}

function nodeOf(number: number, blocks: number, world: World, random: SeededRandom): Node {
  const order = Uint32Array.from({ length: blocks }, (_, block) => block);
  for (let at = blocks - 1; at > 0; at -= 1) {
    const other = random.below(at + 1);
    const block = order[at] as number;
    order[at] = order[other] as number;
    order[other] = block;
  }
  return {
    number,
    id: nodeIdOf(number),
    hot: new HotBlocks({ clock: new NodeTime(world, 0), random }),
    has: new Uint8Array(blocks),
    wanted: order,
    next: 0,
    done: 0,
    sendingUntilMs: 0,
    receivingUntilMs: 0,
    sentBytes: 0,
    arriving: new Map(),
  };
}

function idOf(block: number): BlockId {
  return `${1_000 + block}_0_${BLOCK_BYTES}` as BlockId;
}
