import { type BlockId, type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import type { FillOptions } from '../../src/block/block-source.ts';
import type { ByteRange } from '../../src/block/byte-range.ts';
import { type NodeId, toNodeId } from '../../src/block/node-id.ts';
import { BlockRoute } from '../../src/mesh/block-route.ts';
import { BlockServer } from '../../src/mesh/block-server.ts';
import { GroupRing } from '../../src/mesh/group-ring.ts';
import { HotBlocks } from '../../src/mesh/hot-blocks.ts';
import { LoadMetrics } from '../../src/mesh/load-metrics.ts';
import { LocalBlocks } from '../../src/mesh/local-blocks.ts';
import { MeshLoader } from '../../src/mesh/mesh-loader.ts';
import { Replicator } from '../../src/mesh/replicator.ts';
import {
  type GroupView,
  type Member,
  PeerError,
  type PeerFillOptions,
  type WantedBlock,
} from '../../src/peer/block-exchange.ts';
import { sleep } from '../../src/runtime/deadline.ts';
import { LeaseTable } from '../../src/runtime/lease-table.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { type MemoryMetrics, memoryMetrics } from '../../src/runtime/metrics.ts';
import type { Random } from '../../src/runtime/random.ts';
import { bytesOf, PlainMemoryTier } from './doubles.ts';
import { VirtualClock } from './virtual-clock.ts';

/** How a node treats requests of peers. */
export type Mood = 'well' | 'frozen' | 'dead' | 'corrupt' | 'busy' | 'failing';

/** A node: the real load path over doubles of tiers, peers and origin. */
export interface NodeDouble {
  readonly id: NodeId;
  readonly loader: MeshLoader;
  readonly memory: PlainMemoryTier;
  readonly metrics: MemoryMetrics;
  readonly reported: NodeId[];
  mood: Mood;
  /** What each answer takes longer. */
  delayMs: number;
  /** Whether it is the first owner of a block, as it sees the group. */
  owns(id: BlockId): boolean;
  /** The group as it sees it. */
  see(members: readonly Member[], joinedMs?: number): void;
}

/** A member with the usual weight. */
export function memberOf(id: NodeId, weight = 100): Member {
  return { nodeId: id, addresses: [], weight };
}

/** Numbers that look random and repeat (mulberry32, public domain). */
export function seeded(seed: number): Random {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return {
    below: (limit) => next() % limit,
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
  };
}

/** Nodes that serve each other in one process on one virtual clock. */
export class MeshDouble {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly nodes = new Map<NodeId, NodeDouble>();
  /** Fetches of each block from the origin, and its time for one. */
  readonly fetched = new Map<BlockId, number>();
  originMs = 30;
  /** Blocks of each request for many. */
  readonly manyRequests: number[] = [];
  readonly #servers = new Map<NodeId, BlockServer>();
  readonly #replicas: number;

  constructor(options: { seed: number; replicas?: number }) {
    this.random = seeded(options.seed);
    this.#replicas = options.replicas ?? 1;
  }

  /** Fetches from the origin altogether. */
  get fetches(): number {
    return [...this.fetched.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Makes a node; it knows nobody until it is told. */
  add(name: string): NodeDouble {
    const id = toNodeId(name);
    const metrics = memoryMetrics();
    const memory = new PlainMemoryTier();
    const reported: NodeId[] = [];
    let view: GroupView = { epoch: 1, members: [memberOf(id)] };
    let onChange: ((view: GroupView) => void) | undefined;
    const membership = {
      current: () => view,
      subscribe: (listener: (view: GroupView) => void) => {
        onChange = listener;
        return () => undefined;
      },
      start: async () => undefined,
      stop: async () => undefined,
    };
    const group = {
      ring: new GroupRing(id, membership, { clock: this.clock, replicas: this.#replicas }),
      client: this.#clientOf(id),
      health: { quantileMs: () => 5 },
      reportFailure: (node: NodeId) => void reported.push(node),
    };
    const { loader, server } = this.#pathOf({ memory, metrics, group });
    this.#servers.set(id, server);
    const node: NodeDouble = {
      id,
      loader,
      memory,
      metrics,
      reported,
      mood: 'well',
      delayMs: 0,
      owns: (block) => group.ring.owners(block, 1)[0] === id,
      see: (members, joinedMs) => {
        view = { epoch: view.epoch + 1, members, joinedMs };
        onChange?.(view);
      },
    };
    this.nodes.set(id, node);
    return node;
  }

  /** Reads a whole block on a node. @returns whether its bytes are right */
  async read(node: NodeDouble, key: BlockKey): Promise<boolean> {
    const { signal } = new AbortController();
    const range = { offset: 0, length: key.sizeBytes };
    const read = await node.loader.read(key, range, { whole: true, signal });
    const isRight = Buffer.compare(read.bytes, bytesOf(key)) === 0;
    read.release();
    return isRight;
  }

  #pathOf(parts: {
    memory: PlainMemoryTier;
    metrics: MemoryMetrics;
    group: ConstructorParameters<typeof BlockRoute>[0]['group'] & object;
  }): { loader: MeshLoader; server: BlockServer } {
    const { memory, group } = parts;
    const metrics = new LoadMetrics(parts.metrics);
    const { clock, random } = this;
    const shared = { clock, random, metrics, logger: silentLogger };
    const leases = LeaseTable.create(4);
    const origin = { rangeable: true, fill: this.#fetch.bind(this) };
    const route = new BlockRoute({ ...shared, origin, group, replicas: this.#replicas });
    const loader = new MeshLoader({
      ...shared,
      memory,
      local: new LocalBlocks({ ...shared, memory, disk: undefined, leases }),
      route,
      replicator: new Replicator({
        ...shared,
        client: group.client,
        followers: (key) => route.followers(key),
      }),
      rangeable: true,
      keepInMemory: true,
      prefetchWorkers: 1,
    });
    const tiers = { memory, disk: undefined };
    const server = new BlockServer({ loader, route, tiers, hot: new HotBlocks(shared), metrics });
    return { loader, server };
  }

  async #fetch(key: BlockKey, range: ByteRange, into: Uint8Array, options: FillOptions) {
    const id = blockIdOf(key);
    this.fetched.set(id, (this.fetched.get(id) ?? 0) + 1);
    await sleep(this.clock, this.originMs * (1 + this.random.below(1000) / 1000), options.signal);
    into.set(bytesOf(key).subarray(range.offset, range.offset + range.length));
    options.onProgress?.(range.length);
  }

  #clientOf(self: NodeId) {
    return {
      // oxlint-disable-next-line eslint/max-params -- the contract's order
      fill: async (
        node: NodeId,
        key: BlockKey,
        range: ByteRange,
        into: Uint8Array,
        options: PeerFillOptions,
      ): Promise<void> => {
        const server = this.#servers.get(node);
        const double = this.nodes.get(node);
        if (server === undefined || double === undefined) throw new PeerError('unreachable', node);
        const { signal, onProgress, onWorking } = options;
        await this.#greet(double, signal);
        const asked = { peer: self, mode: options.mode ?? 'any' };
        let ready = 0;
        for await (const piece of server.serve(key, range, signal, asked)) {
          signal.throwIfAborted();
          await this.#greet(double, signal);
          into.set(piece, ready);
          ready += piece.byteLength;
          if (piece.byteLength === 0) onWorking?.();
          else onProgress?.(ready);
        }
      },
      getMany: async (
        node: NodeId,
        wanted: readonly WantedBlock[],
        options: Omit<PeerFillOptions, 'onProgress'>,
      ): Promise<void> => {
        const server = this.#servers.get(node);
        const double = this.nodes.get(node);
        if (server === undefined || double === undefined) throw new PeerError('unreachable', node);
        this.manyRequests.push(wanted.length);
        const { signal, mode = 'any' } = options;
        for (const { key, into, onDone } of wanted) {
          await this.#greet(double, signal);
          const range = { offset: 0, length: key.sizeBytes };
          const pieces = server.serve(key, range, signal, { peer: self, mode });
          onDone(await fillFrom(pieces, into, signal));
        }
      },
      holds: async () => [],
    };
  }

  /** What a request has to go through. */
  async #greet({ mood, delayMs, id }: NodeDouble, signal: AbortSignal): Promise<void> {
    await sleep(this.clock, 1 + delayMs, signal);
    if (mood === 'dead') throw new PeerError('unreachable', `${id} is gone`);
    if (mood === 'corrupt') throw new PeerError('corrupt', `${id} sent wrong bytes`);
    if (mood === 'busy') throw new PeerError('busy', `${id} is busy`);
    if (mood === 'failing') throw new PeerError('failed', `${id} cannot get it`);
    if (mood !== 'frozen') return;
    await sleep(this.clock, 1_000, signal);
    throw new PeerError('timeout', `${id} said nothing`);
  }
}

/** @returns what the peer says about the block; undefined when it sent it */
async function fillFrom(
  pieces: AsyncIterable<Uint8Array>,
  into: Uint8Array,
  signal: AbortSignal,
): Promise<PeerError | undefined> {
  let ready = 0;
  try {
    for await (const piece of pieces) {
      signal.throwIfAborted();
      into.set(piece, ready);
      ready += piece.byteLength;
    }
    return undefined;
  } catch (error) {
    if (error instanceof PeerError) return error;
    throw error;
  }
}
