import { blockIdOf } from '../../src/block/block-key.ts';
import type { NodeId } from '../../src/block/node-id.ts';
import { WarmMetrics } from '../../src/mesh/warm/warm-metrics.ts';
import { WarmRun } from '../../src/mesh/warm/warm-run.ts';
import { packRecord } from '../../src/peer/checked-msgpack.ts';
import type { WarmClient } from '../../src/peer/warm-exchange.ts';
import {
  encodeWarmReply,
  encodeWarmRequest,
  WarmOutcome,
  type WarmReply,
  type WarmRequest,
} from '../../src/peer/warm-message.ts';
import { HashRing } from '../../src/ring/hash-ring.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { nodeIdOf } from '../node/node-ids.ts';
import { NodeTime } from '../world/node-time.ts';
import { World } from '../world/world.ts';

/** Of each node, on average: 400 MiB. */
const BLOCKS_PER_NODE = 100;
const BLOCK_BYTES = 4 * 2 ** 20;
/** 300 Gb/s, as in published tests of group caches. */
const ORIGIN_BYTES_PER_MS = 37_500_000;
const LATENCY_MS = 0.2;
/** What noise and yamux add to a message, about. */
const ENVELOPE_BYTES = 200;
/** `cachemesh warmup -p`'s default. */
const PARALLEL = 50;

/** What one node's plan of a warm-up of the whole group comes to. */
export interface WarmUpScale {
  readonly nodes: number;
  readonly blocks: number;
  readonly tookMs: number;
  /** What the origin alone would take to send it all once. */
  readonly originMs: number;
  /** Questions and answers, of the node that asks. */
  readonly messages: number;
  readonly bytes: number;
}

/**
 * One node warms up a volume for the whole group: who gets what, and when, is decided by the ring and by
 * the daemon's `WarmRun`; owners answer as fast as the origin sends.
 */
export class WarmUpRun {
  readonly #world: World;
  readonly #time: NodeTime;
  readonly #ring: HashRing;
  readonly #self: NodeId;
  readonly #nodes: number;
  /** When an owner has what it was told, by batch. */
  readonly #readyMs = new Map<string, number>();
  #originUntilMs = 0;
  #messages = 0;
  #bytes = 0;

  constructor(nodes: number, seed: number) {
    this.#world = new World(seed, { eventsMax: Number.POSITIVE_INFINITY });
    this.#time = new NodeTime(this.#world, 0);
    this.#nodes = nodes;
    this.#self = nodeIdOf(0);
    const members = Array.from({ length: nodes }, (_, at) => ({
      nodeId: nodeIdOf(at),
      weight: 100,
    }));
    this.#ring = HashRing.build(members, 1);
  }

  /** @throws Error when a block is not warmed up: a bug */
  async run(): Promise<WarmUpScale> {
    const blocks = this.#nodes * BLOCKS_PER_NODE;
    const outcome = await this.#world.run(this.#warm(blocks), Number.POSITIVE_INFINITY);
    const [bug] = this.#world.bugs;
    if (outcome !== 'done' || bug !== undefined) throw new Error(`warm-up: ${bug ?? outcome}`);
    return {
      nodes: this.#nodes,
      blocks,
      tookMs: this.#world.nowMs,
      originMs: (blocks * BLOCK_BYTES) / ORIGIN_BYTES_PER_MS,
      messages: this.#messages,
      bytes: this.#bytes,
    };
  }

  async #warm(blocks: number): Promise<void> {
    const run = new WarmRun({
      job: 'scale',
      self: this.#self,
      owners: (key, count) => this.#ring.owners(blockIdOf(key), count),
      client: this.#client(),
      reportFailure: (node) => this.#world.bug(new Error(`${node} is given up`)),
      handover: false,
      parallel: PARALLEL,
      clock: this.#time,
      metrics: new WarmMetrics(memoryMetrics()),
      logger: silentLogger,
      signal: new AbortController().signal,
    });
    for (let block = 0; block < blocks; block += 1) {
      const key = { sliceId: BigInt(1_000 + block), index: 0, sizeBytes: BLOCK_BYTES };
      await run.add(key, (kept, error) => {
        if (kept !== 'fetched') this.#world.bug(new Error(`${kept}: ${error ?? 'no reason'}`));
      });
    }
    await run.finish();
  }

  #client(): WarmClient {
    return {
      warm: async (node, request, count) => {
        this.#count(encodeWarmRequest(request));
        await this.#world.sleep(LATENCY_MS);
        const reply = await this.#answer(node, request, count);
        this.#count(encodeWarmReply(reply));
        await this.#world.sleep(LATENCY_MS);
        return reply;
      },
      cancel: () => Promise.resolve(),
      evict: () => Promise.resolve({ blocks: 0, bytes: 0 }),
    };
  }

  /** As `WarmService` answers: when the batch is done, or when it was asked to. */
  async #answer(node: NodeId, request: WarmRequest, count: number): Promise<WarmReply> {
    const name = `${node} ${request.batch}`;
    const readyMs = this.#readyMs.get(name) ?? this.#fromOrigin(count);
    this.#readyMs.set(name, readyMs);
    const leftMs = readyMs - this.#world.nowMs;
    await this.#world.sleep(Math.min(request.waitMs, leftMs));
    const isDone = leftMs <= request.waitMs;
    const outcome = isDone ? WarmOutcome.fetched : WarmOutcome.pending;
    if (isDone) this.#readyMs.delete(name);
    return { outcomes: new Uint8Array(count).fill(outcome), error: undefined };
  }

  /** When the origin has sent so many blocks, one after the other. */
  #fromOrigin(count: number): number {
    const sendingMs = (count * BLOCK_BYTES) / ORIGIN_BYTES_PER_MS;
    this.#originUntilMs = Math.max(this.#world.nowMs, this.#originUntilMs) + sendingMs;
    return this.#originUntilMs;
  }

  #count(message: Parameters<typeof packRecord>[0]): void {
    this.#messages += 1;
    this.#bytes += packRecord(message).byteLength + ENVELOPE_BYTES;
  }
}
