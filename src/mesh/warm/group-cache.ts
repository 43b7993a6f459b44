import { type BlockId, type BlockKey, blockIdOf } from '../../block/block-key.ts';
import type { NodeId } from '../../block/node-id.ts';
import type { HeldIn, Membership, PeerClient } from '../../peer/block-exchange.ts';
import type { WarmClient } from '../../peer/warm-exchange.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Random } from '../../runtime/random.ts';
import type { BlockServer } from '../block-server.ts';
import type { GroupRing } from '../group-ring.ts';
import type { WarmMetrics } from './warm-metrics.ts';
import { WarmRun } from './warm-run.ts';
import type { WarmService } from './warm-service.ts';

/** Groups up to this size are asked as a whole who holds what; of larger ones only the owners. */
const ASK_ALL_MAX = 32;
/** Owners asked in larger groups. */
const OWNERS_ASKED = 2;
/** Members asked at once. */
const ASKED_AT_ONCE = 16;

/** Where a block is. */
export interface BlockHolder {
  readonly node: NodeId | 'this node';
  readonly tier: 'memory' | 'disk';
}

/** What a question to the whole group brought. */
export interface GroupAnswer<Value> {
  readonly value: Value;
  /** Members that did not answer. */
  readonly silent: readonly NodeId[];
}

/** The caches of the whole group as one: fill them, look into them, clear them. */
export interface SharedCache {
  /**
   * Begins to bring blocks to their owners.
   *
   * @param options - `parallel`: blocks that each node fetches at once; `signal` ends the run on all
   *   nodes; `here`: to this node, whoever owns them
   */
  warm(options: {
    readonly parallel: number;
    readonly signal: AbortSignal;
    readonly here?: boolean;
  }): Pick<WarmRun, 'add' | 'finish' | 'moved'>;
  /**
   * Who holds each of these blocks, in the order asked.
   *
   * @param keys - at most 1000
   * @throws the signal's reason when aborted
   */
  holders(
    keys: readonly BlockKey[],
    signal: AbortSignal,
  ): Promise<GroupAnswer<readonly (readonly BlockHolder[])[]>>;
  /**
   * Drops blocks from the caches of all members.
   *
   * @param keys - at most 1000
   * @returns copies that were dropped
   * @throws the signal's reason when aborted
   */
  evict(
    keys: readonly BlockKey[],
    signal: AbortSignal,
  ): Promise<GroupAnswer<{ blocks: number; bytes: number }>>;
}

/** The other members, as far as filling and clearing caches goes. */
export interface WarmGroup {
  readonly ring: GroupRing;
  readonly membership: Membership;
  readonly client: PeerClient;
  readonly warm: WarmClient;
  reportFailure(node: NodeId): void;
}

/** What a {@link GroupCache} works with. */
export interface GroupCacheParts {
  readonly server: BlockServer;
  readonly service: WarmService;
  /** Undefined outside a cache group. */
  readonly group: WarmGroup | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: WarmMetrics;
  readonly logger: Logger;
}

/** {@link SharedCache} of a node: alone, or with the members of its group. */
export class GroupCache implements SharedCache {
  readonly #parts: GroupCacheParts;

  constructor(parts: GroupCacheParts) {
    this.#parts = parts;
  }

  warm(options: {
    readonly parallel: number;
    readonly signal: AbortSignal;
    readonly here?: boolean;
  }): WarmRun {
    return this.#run({ ...options, handover: false, skip: 0 });
  }

  /**
   * Begins to hand blocks that this node holds over to their owners.
   *
   * @param options - as for {@link warm}; `holder`: the how-manieth node that keeps a block gets it, ≥ 0
   */
  handOver(options: {
    readonly parallel: number;
    readonly signal: AbortSignal;
    readonly holder: number;
  }): WarmRun {
    return this.#run({ ...options, handover: true, skip: options.holder });
  }

  #run(options: {
    readonly parallel: number;
    readonly signal: AbortSignal;
    readonly handover: boolean;
    readonly skip: number;
    readonly here?: boolean;
  }): WarmRun {
    const { handover, skip, here } = options;
    const { group, service, random, clock, metrics, logger } = this.#parts;
    const self = group?.ring.self ?? ('this node' as NodeId);
    return new WarmRun({
      ...options,
      job: Buffer.from(random.bytes(8)).toString('hex'),
      self,
      owners: (key, count) => {
        if (here === true) return [self];
        const owners = group?.ring.owners(blockIdOf(key), count + skip).slice(skip) ?? [];
        return handover ? owners.filter((node) => node !== self) : owners;
      },
      client: clientOf(self, service, group?.warm),
      reportFailure: (node) => group?.reportFailure(node),
      clock,
      metrics,
      logger,
    });
  }

  async holders(
    keys: readonly BlockKey[],
    signal: AbortSignal,
  ): Promise<GroupAnswer<readonly (readonly BlockHolder[])[]>> {
    const ids = keys.map(blockIdOf);
    const holders: BlockHolder[][] = this.#parts.server
      .holds(ids)
      .map((tier) => (tier === undefined ? [] : [{ node: 'this node', tier }]));
    const silent = await this.#askEach(this.#questions(ids), async (node, asked) => {
      const tiers = await this.#holds(
        node,
        asked.map((at) => ids[at] as BlockId),
        signal,
      );
      asked.forEach((at, index) => {
        const tier = tiers[index];
        if (tier !== undefined) holders[at]?.push({ node, tier });
      });
    });
    signal.throwIfAborted();
    return { value: holders, silent };
  }

  async evict(
    keys: readonly BlockKey[],
    signal: AbortSignal,
  ): Promise<GroupAnswer<{ blocks: number; bytes: number }>> {
    const { group, service } = this.#parts;
    const ids = keys.map(blockIdOf);
    const value = { ...service.evict(ids) };
    const all = new Map(this.#others().map((node) => [node, [] as number[]]));
    const silent = await this.#askEach(all, async (node) => {
      const evicted = await group?.warm.evict(node, ids, signal);
      value.blocks += evicted?.blocks ?? 0;
      value.bytes += evicted?.bytes ?? 0;
    });
    signal.throwIfAborted();
    return { value, silent };
  }

  #others(): NodeId[] {
    const { group } = this.#parts;
    const members = group?.membership.current().members.map(({ nodeId }) => nodeId) ?? [];
    return members.filter((node) => node !== group?.ring.self);
  }

  /** Which blocks, by their place, each member is asked about. */
  #questions(ids: readonly BlockId[]): Map<NodeId, number[]> {
    const others = this.#others();
    const questions = new Map<NodeId, number[]>();
    const { group } = this.#parts;
    for (const [at, id] of ids.entries()) {
      const asked =
        others.length <= ASK_ALL_MAX ? others : (group?.ring.owners(id, OWNERS_ASKED) ?? []);
      for (const node of asked) {
        if (node === group?.ring.self) continue;
        const places = questions.get(node);
        if (places === undefined) questions.set(node, [at]);
        else places.push(at);
      }
    }
    return questions;
  }

  async #holds(node: NodeId, ids: readonly BlockId[], signal: AbortSignal): Promise<HeldIn[]> {
    return (await this.#parts.group?.client.holds(node, ids, signal)) ?? [];
  }

  /** @returns who did not answer */
  async #askEach(
    questions: ReadonlyMap<NodeId, readonly number[]>,
    ask: (node: NodeId, asked: readonly number[]) => Promise<void>,
  ): Promise<NodeId[]> {
    const silent: NodeId[] = [];
    const rest = questions.entries();
    const work = async () => {
      for (const [node, asked] of rest) {
        try {
          await ask(node, asked);
        } catch (error) {
          silent.push(node);
          const fields = { peer: node, error: String(error) };
          this.#parts.logger.warn(fields, 'a member did not answer about its cache');
        }
      }
    };
    await Promise.all(Array.from({ length: ASKED_AT_ONCE }, work));
    return silent;
  }
}

/** Reaches this node by itself and the others over the network. */
function clientOf(self: NodeId, service: WarmService, others: WarmClient | undefined): WarmClient {
  const other = (): WarmClient => {
    if (others === undefined) throw new Error('outside a group there is nobody else to ask');
    return others;
  };
  return {
    warm: async (node, request, count, signal) =>
      node === self ? service.warm(self, request) : other().warm(node, request, count, signal),
    cancel: async (node, job) =>
      node === self ? service.cancel(self, job) : other().cancel(node, job),
    evict: async (node, ids, signal) =>
      node === self ? service.evict(ids) : other().evict(node, ids, signal),
  };
}
